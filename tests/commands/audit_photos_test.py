"""`josrc-audit --photos`: from a folder of photos to a cleaned one."""

import json
import shutil

import pytest

from josrc_keras.cleaning import audit_of_photos

pytest.importorskip("pandas", reason="needs josrc-keras[report]")
pytest.importorskip("sklearn", reason="needs josrc-keras[report]")
pytest.importorskip("imagehash", reason="needs josrc-keras[photos]")

from tests.support import probe_photos
from tests.support.forks import Forks, contents

FILES = ("audit.csv", "findings.json", "photos.json", "report.html", "source.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory, request):
    """Runs the command in a fork: `(exit status, output, errors)`."""
    logs = tmp_path_factory.mktemp("logs")
    forks = Forks("josrc_keras.commands.audit", request.config.rootpath, logs)
    yield forks.run
    forks.process.stdin.close()
    forks.process.wait()


@pytest.fixture(scope="module")
def made(tmp_path_factory, run):
    """A folder with photos, a backbone, and the photos' audit in `audit`."""
    folder = tmp_path_factory.mktemp("world")
    wrong = probe_photos.write_photos(folder / "photos")
    probe_photos.write_backbone(folder / "backbone.keras")
    status, out, err = run(*flags(folder), f"--classifier={folder / 'made.keras'}")
    assert status == 0, err
    return folder, wrong, out


def flags(folder):
    return (
        f"--photos={folder / 'photos'}",
        f"--output={folder / 'audit'}",
        f"--backbone={folder / 'backbone.keras'}",
    )


@pytest.fixture
def world(made, tmp_path):
    """A copy that may be changed. Its audit is of the copied photos."""
    folder, wrong, _ = made
    shutil.copytree(folder, tmp_path / "world")
    where = {"photos": str(tmp_path / "world/photos"), "table": None}
    (tmp_path / "world/audit/source.json").write_text(json.dumps(where))
    return tmp_path / "world", wrong


def test_what_is_written_and_said(made):
    folder, wrong, out = made
    assert all((folder / "audit" / name).exists() for name in FILES)
    assert "72 images of 3 classes: 16.7% of the labels look wrong" in out
    assert "Wrong labels: an estimated 1" in out and "Check the 1" in out
    found = json.loads((folder / "audit/findings.json").read_text())
    assert found["class_names"] == sorted(probe_photos.COLOURS)
    low, high = found["estimates"]["noise_rate_interval"]
    assert low < len(wrong) / 72 < high
    assert set(found["quality_issues"]["counts"]) > {"dark", "blurred"}
    near, dark = found["near_duplicates"], found["quality_issues"]
    assert len(near["listed"]) == near["sets"] == 2
    assert sum(near["listed"][0]["keep"]) == 1
    assert len(dark["listed"]) == dark["counts"]["dark"] == 9
    assert (folder / "made.keras").exists()


def test_wrong_labels_are_mended_in_a_copy_and_by_moving(world, run):
    folder, wrong = world
    for action in ("copy", "move"):
        before = contents(folder / "photos")
        status, out, err = run(*flags(folder), f"--apply={action}")
        assert status == 0 and "or --all to follow the audit" in out, err
        assert contents(folder / "photos") == before
        status, _, err = run(*flags(folder), f"--apply={action}", "--all")
        assert status == 0, err
    names = sorted(probe_photos.COLOURS)
    for each in wrong:
        given, _, photo = each.partition("/")
        right = names[(names.index(given) + 1) % 3]
        moved = sorted(path.name for path in (folder / "photos" / right).iterdir())
        assert not (folder / "photos" / each).exists() and len(moved) == 24, photo
    status, out, err = run(*flags(folder), "--apply=undo")
    assert status == 0 and f"{len(wrong)} photos moved back" in out, err
    assert all((folder / "photos" / each).exists() for each in wrong)


def test_decisions_are_applied_and_undone(world, run):
    """After a preview that changes nothing; only what was decided moves."""
    folder, wrong = world
    rows = "".join(f"{each},{each.split('/')[0]},delete,\n" for each in sorted(wrong))
    text = f"id,given_name,decision,new_name\n{rows}"
    (folder / "decisions.csv").write_text(text)
    given = [*flags(folder), f"--decisions={folder / 'decisions.csv'}"]
    before = contents(folder / "photos")
    status, out, err = run(*given, "--apply=move", "--dry_run")
    assert status == 0 and out.endswith("Nothing was changed.\n"), err
    assert f"{72 - len(wrong)} keep, {len(wrong)} delete." in out
    assert contents(folder / "photos") == before
    status, out, err = run(*given, "--apply=move")
    assert status == 0 and f"0 set_aside, {len(wrong)} delete: " in out, err
    assert len(contents(folder / "audit/deleted")) >= len(wrong)
    status, _, err = run(*flags(folder), "--apply=undo")
    assert status == 0, err
    assert contents(folder / "photos") == before
    status, out, err = run(*flags(folder), "--apply=copy", "--below=0", "--dry_run")
    assert status == 0 and out.startswith("72 samples: 72 keep."), err


def test_a_photo_that_was_replaced_since_stays(world, run):
    folder, wrong = world
    one = sorted(wrong)[0]
    shutil.copyfile(folder / "photos/red/023.png", folder / "photos" / one)
    status, _, err = run(*flags(folder), "--apply=move", "--all")
    assert status == 0 and "1 photos have changed since the audit" in err
    assert (folder / "photos" / one).exists()


def relabelled(folder, wrong):
    """The path of decisions that give each wrong photo its right class."""
    names = sorted(probe_photos.COLOURS)
    rows = ""
    for each in sorted(wrong):
        given = each.split("/")[0]
        right = names[(names.index(given) + 1) % 3]
        rows += f"{each},{given},relabel,{right}\n"
    (folder / "right.csv").write_text(f"id,given_name,decision,new_name\n{rows}")
    return folder / "right.csv"


def test_before_and_after_side_by_side(world, run):
    """Of 72 photos 12 are wrong before, and none after."""
    folder, wrong = world
    given = [*flags(folder), f"--decisions={relabelled(folder, wrong)}", "--compare"]
    status, out, err = run(*given)
    assert status == 0 and "72 samples: 60 keep, 12 relabel." in out, err
    found = json.loads((folder / "audit/comparison.json").read_text())
    before, after = found["before"], found["after"]
    assert (before["photos"], after["photos"], found["tested"]) == (72, 72, 72)
    assert before["noise_rate_interval"][0] < 12 / 72 < before["noise_rate_interval"][1]
    assert after["noise_rate"] < 0.03 < before["noise_rate"]
    assert after["accuracy"] == 1 >= before["accuracy"]
    assert f"accuracy                {before['accuracy']:.1%}" in out
    probe_photos.write_photos(folder / "held_out", count=4, wrong=0, seed=1)
    status, out, err = run(*given, f"--held_out={folder / 'held_out'}")
    assert status == 0 and "Tested on 12 photos of " in out, err
    (folder / "held_out/red").rename(folder / "held_out/pink")
    status, _, err = run(*given, f"--held_out={folder / 'held_out'}")
    assert status == 2 and "held_out, with ['pink']. Remove those" in err


def test_findings_are_exported(world, run):
    folder, wrong = world
    decided = f"--decisions={relabelled(folder, wrong)}"
    status, out, err = run(*flags(folder), decided, "--export=huggingface")
    assert status == 0 and "72 samples, 12 decided: " in out, err
    for each in wrong:  # Its bytes are in the right class.
        assert not (folder / "audit/huggingface" / each).exists() or (
            contents(folder / "audit/huggingface")[each]
            != contents(folder / "photos")[each]
        )
    lines = (folder / "audit/huggingface/metadata.jsonl").read_text().splitlines()
    changed = [r for r in map(json.loads, lines) if r["label"] != r["given_name"]]
    assert len(lines) == 72 and len(changed) == 12
    status, out, err = run(*flags(folder), "--export=label_studio")
    assert status == 0 and f"DOCUMENT_ROOT={folder}, make" in out, err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--photos=DIR or --run=DIR. Received: neither"),
        (["--photos=a", "--run=b"], "Received: both"),
        (["--photos=a"], "--photos without --output"),
        (["--run=a", "--table=b"], "--table with --run"),
        (["--run=a", "--shard=1/2"], "--shard with --run"),
        (["--run=a", "--decisions=b"], "--decisions without --apply=csv"),
        (["--run=a", "--dry_run"], "--dry_run without --apply=csv"),
        (
            ["--run=a", "--apply=csv", "--decisions=b", "--all"],
            "--decisions and --all. Leave out all but one",
        ),
        (["--run=a", "--apply=csv", "--decisions=b"], "a file of decisions"),
        (["--run=a", "--compare"], "--compare is of an audit of photos"),
        (["--photos=a", "--output=b", "--held_out=c"], "--held_out without --compare"),
        (
            ["--run=a", "--serve", "--export=cleanlab"],
            "Received: --export=cleanlab and --serve. Run the command once for each",
        ),
        (["--run=a", "--export=coco"], "'coco'"),
        (["--run=a", "--serve"], "--serve of an audit that is there"),
        (["--photos=none", "--output=b"], "none, which is not there"),
        (
            ["--photos=a", "--output=b", "--table=c", "--apply=move"],
            "--table with --apply=move. Use --apply=csv",
        ),
    ],
)
def test_flags_that_do_not_fit(run, tmp_path, monkeypatch, given, message):
    status, _, err = run(*given)
    assert status == 2 and message in err and "Traceback" not in err


def test_other_photos_than_the_audit_is_of(world, run, tmp_path):
    folder, _ = world
    probe_photos.write_photos(tmp_path / "others", count=4, wrong=0)
    given = [f"--photos={tmp_path / 'others'}", *flags(folder)[1:]]
    status, _, err = run(*given, "--apply=copy")
    assert status == 2 and "Give that folder" in err


def test_parts_by_processes(made, run, tmp_path):
    folder, _, _ = made
    given = [flags(folder)[0], f"--output={tmp_path / 'audit'}", flags(folder)[2]]
    for part in ("1/2", "2/2"):
        status, out, err = run(*given, f"--shard={part}")
        assert status == 0 and f"Part {part} is done" in out, err
    status, out, err = run(*given)
    assert status == 0 and "72 images" in out, err
    expected = (folder / "audit/audit.csv").read_text()
    assert (tmp_path / "audit/audit.csv").read_text() == expected


def test_an_audit_of_a_run_is_none_of_photos(tmp_path):
    with pytest.raises(ValueError, match=r"without source.json. Audit first"):
        audit_of_photos.photos_of(tmp_path)
