"""Audits of predictions, features and photos: what they find, and what they refuse."""

import json

import numpy as np
import pytest

from josrc_keras import audit
from josrc_keras.audit import COLUMNS
from josrc_keras.probe import audits, backbone
from josrc_keras.probe.features import _shard_of

pytest.importorskip("pandas", reason="needs josrc-keras[report]")
pytest.importorskip("sklearn", reason="needs josrc-keras[report]")
pytest.importorskip("imagehash", reason="needs josrc-keras[photos]")

from tests.support import probe_photos


@pytest.fixture(scope="module")
def clouds():
    random = np.random.default_rng(0)
    truth = np.arange(400) % 4
    features = 2 * np.eye(4, 8)[truth] + random.normal(0, 0.7, (400, 8))
    wrong = random.random(400) < 0.2
    labels = np.where(wrong, (truth + random.integers(1, 4, 400)) % 4, truth)
    return features.astype("float32"), labels, truth


def check(table, labels, truth):
    wrong = labels != truth
    issue = table["is_label_issue"].to_numpy()
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert issue[wrong].mean() > 0.85 and issue[~wrong].mean() < 0.05
    estimates = json.loads(json.dumps(table.attrs["estimates"]))
    low, high = estimates["noise_rate_interval"]
    assert low < wrong.mean() < high and high - low < 0.2
    assert estimates["check"]["photos"] == pytest.approx(wrong.sum(), rel=0.3)
    worst = np.argsort(table["label_score"].to_numpy())
    worst = worst[: estimates["check"]["photos"]]
    assert wrong[worst].sum() / wrong.sum() > 0.8


def test_features(clouds):
    features, labels, truth = clouds
    table = audit.of_features(features, labels)
    check(table, labels, truth)
    suggested = table["predicted_label"].to_numpy()
    assert (suggested == truth).mean() > 0.93
    assert audit.of_features(features, labels).equals(table)


def test_features_of_views_and_labels_by_name(clouds):
    features, labels, truth = clouds
    names = np.array(["ash", "birch", "cedar", "date"])
    views = np.stack([features, features + 0.1], 1)
    table = audit.of_features(
        views, names[labels], ids=[f"{i}.png" for i in range(400)]
    )
    check(table, labels, truth)
    assert table["given_name"].tolist() == names[labels].tolist()
    assert table["id"][3] == "3.png"
    assert set(table["paper_verdict"]) <= set(audit.scores.VERDICTS)


def test_predictions(clouds):
    features, labels, truth = clouds
    centres = np.stack([features[truth == label].mean(0) for label in range(4)])
    logits = features @ centres.T
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for table in (
        audit.of_predictions(probs, labels),
        audit.of_predictions(probs, labels, features),
    ):
        check(table, labels, truth)
        assert set(table["paper_verdict"]) == {""}


def test_a_class_of_one_sample_is_not_judged(clouds, caplog):
    features, labels, _ = clouds
    labels = labels.copy()
    labels[7] = 4
    table = audit.of_features(features, labels)
    assert "1 classes have one sample, which can't be judged: 4" in caplog.text
    assert table["verdict"][7] == "clean"
    assert 0.6 < table["label_score"][7] < 0.95  # One less the noise rate.


@pytest.mark.parametrize("classes", [2, 100, pytest.param(300, marks=pytest.mark.slow)])
def test_few_and_many_classes(classes):
    random = np.random.default_rng(0)
    labels = np.arange(1200) % classes
    features = random.normal(0, 1, (classes, 32))[labels] * 2
    features += random.normal(0, 0.3, features.shape)
    labels[:60] = (labels[:60] + 1) % classes
    table = audit.of_features(features, labels)
    issue = table["is_label_issue"].to_numpy()
    assert issue[:60].mean() > 0.8 and issue[60:].mean() < 0.1
    if classes == 2:
        assert set(table["verdict"]) == {"clean", "in_distribution_noise"}


PROBS, LABELS = np.full((6, 3), 1 / 3), np.arange(6) % 3


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        ("of_predictions", (PROBS * 2, LABELS), "rows that sum to 1.*softmax"),
        ("of_predictions", (PROBS - 1, LABELS), "in .0, 1.*softmax"),
        ("of_predictions", (PROBS[:, :1] * 3, LABELS), "shape .N, C."),
        ("of_predictions", (PROBS, LABELS + 1), "from 0 to 2. Received: .3."),
        ("of_predictions", (PROBS, LABELS[:4]), "as many probs as labels.*6 probs, 4"),
        ("of_predictions", (PROBS, LABELS, np.ones((5, 2))), "of the 6 samples.*: 5"),
        ("of_predictions", (PROBS, LABELS / 2), "integers or names. Received: float64"),
        ("of_features", (np.full((6, 3), np.nan), LABELS), "NaN or infinity in rows 0"),
        ("of_features", (np.ones((6, 3)), LABELS), "features that differ"),
        ("of_features", (np.ones(6), LABELS), "shape .N, F."),
        (
            "of_features",
            (np.eye(6), np.zeros(6, int)),
            "at least 2 classes.*: 1 classes",
        ),
        ("of_features", (np.eye(6), np.arange(6)), "at least 2 samples each"),
        ("of_features", (np.eye(6), np.eye(6)), "One-hot rows go through"),
    ],
)
def test_what_does_not_fit_is_refused(function, given, message):
    with pytest.raises(ValueError, match=message):
        getattr(audit, function)(*given)


def test_labels_that_are_no_class():
    with pytest.raises(ValueError, match=r"none of them"):
        audit.of_features(np.eye(4), list("abab"), class_names=["a", "c"])
    with pytest.raises(ValueError, match="class_names that differ"):
        audit.of_features(np.eye(4), [0, 1, 0, 1], class_names=["a", "a"])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of photos, a backbone, and the ids of wrong labels."""
    folder = tmp_path_factory.mktemp("photos")
    wrong = probe_photos.write_photos(folder / "photos")
    probe_photos.write_backbone(folder / "backbone.keras")
    return folder, wrong


def of_photos(world, features, **options):
    folder, _ = world
    return audit.of_photos(
        folder / "photos", folder / "backbone.keras", features=features, **options
    )


def test_photos(world, tmp_path, monkeypatch):
    _, wrong = world
    table = of_photos(world, tmp_path / "features")
    assert len(table) == 72 and table["id"].is_monotonic_increasing
    flagged = set(table["id"][table["is_label_issue"]])
    assert flagged == wrong
    # The second audit opens no photo and loads no backbone.
    monkeypatch.setattr(backbone, "load", None)
    assert of_photos(world, tmp_path / "features").equals(table)


def test_photos_by_parts(world, tmp_path):
    """Three processes share the work; the audit then reads what they found."""
    folder, _ = world
    expected = of_photos(world, tmp_path / "alone")
    given = folder / "photos", folder / "backbone.keras"
    for number in (1, 2, 3):
        audits.look_at(*given, features=tmp_path / "shared", shard=f"{number}/3")
    files = sorted(path.name for path in (tmp_path / "shared").glob("features-*.bin"))
    assert [name[-8:] for name in files] == ["1of3.bin", "2of3.bin", "3of3.bin"]
    assert of_photos(world, tmp_path / "shared").equals(expected)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_parts_that_are_none(shard):
    with pytest.raises(ValueError, match="NUMBER/COUNT, such as 3/8"):
        _shard_of(shard)


def test_a_broken_photo_is_left_out(world, tmp_path):
    folder, _ = world
    wrong = probe_photos.write_photos(tmp_path / "photos", count=8, wrong=1)
    (tmp_path / "photos/red/bad.jpg").write_bytes(b"no image")
    found = audits.photo_audit(
        tmp_path / "photos", folder / "backbone.keras", features=tmp_path / "features"
    )
    assert len(found.audited.table) == 24 and wrong
    ((name, reason),) = found.seen.skipped
    assert name == "red/bad.jpg" and "no image of a known format" in reason


def test_a_table_of_photos(world, tmp_path):
    """The same photos with the same labels give the same verdicts."""
    expected = of_photos(world, tmp_path / "features")
    rows = [
        f"{i},{name},train"
        for i, name in zip(expected["id"], expected["given_name"], strict=True)
    ]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    assert of_photos(world, tmp_path / "features", table=table).equals(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label\nred/000.png,red\nred/zzz.png,red\n",
            "row 3: 'red/zzz.png' is not",
        ),
        ("path,label\nred/000.png,\n", "row 2: 'red/000.png' has no label"),
        ("path,label\n,red\n", "row 2: '' is no path"),
        ("path,label\nred,red\n", "row 2: 'red' is no file"),
        ("path,label\nred/000.png,a\nred/000.png,b\n", "row 3: .* occurs twice"),
        ("file,label\nred/000.png,a\n", "columns path and label"),
        ("path,label\n", "columns path and label"),
    ],
)
def test_a_table_that_does_not_fit(world, tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        of_photos(world, tmp_path / "features", table=tmp_path / "labels.csv")


def test_folders_that_do_not_fit(world, tmp_path):
    folder, _ = world
    with pytest.raises(OSError, match="which is not there"):
        audit.of_photos(tmp_path / "none", features=tmp_path)
    with pytest.raises(ValueError, match="outside of the photos"):
        of_photos(world, folder / "photos/features")
    (tmp_path / "empty/red").mkdir(parents=True)
    with pytest.raises(ValueError, match="Expected photos as"):
        audit.of_photos(tmp_path / "empty", features=tmp_path / "features")
    one = tmp_path / "one"
    (one / "red").mkdir(parents=True)
    (one / "red/a.png").write_bytes((folder / "photos/red/000.png").read_bytes())
    with pytest.raises(ValueError, match="at least 2 classes"):
        audit.of_photos(one, folder / "backbone.keras", features=tmp_path / "features")


def test_the_classifier_is_backbone_and_head(world, tmp_path):
    folder, _ = world
    name = folder / "backbone.keras"
    found = audits.photo_audit(folder / "photos", name, features=tmp_path)
    model = audits.classifier(name, found.audited, found.class_names)
    size = probe_photos.SIZE
    names = sorted(probe_photos.COLOURS)
    for number, colour in enumerate(names):
        pixels = np.full((1, size, size, 3), probe_photos.COLOURS[colour], "float32")
        assert int(np.argmax(model(pixels)[0])) == number
