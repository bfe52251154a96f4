"""Findings and decisions in other tools' formats, and loaded by those tools."""

import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote

import numpy as np
import pytest

from josrc_keras.cleaning import decisions, formats
from tests.support.audit_tables import make_image, make_table

pandas = pytest.importorskip("pandas")
pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
NAMES = ["c0", "c1", 'c2 & "x"']
WORDS = ("relabel", "keep", "none", "unsure", "delete")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Findings of 20 photos, the first five decided, each in another way."""
    table = make_table(20, 3, names=NAMES)
    table["id"] = [f"{name}/é {i}.png" for i, name in enumerate(table["given_name"])]
    table.loc[19, "predicted_probability"] = np.nan
    photos = tmp_path_factory.mktemp("world") / "photos"
    for row, name in enumerate(table["id"]):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(make_image(row, size=16)).save(photos / name)
    decided = pandas.DataFrame(
        {
            "id": table["id"][:5],
            "given_name": table["given_name"][:5],
            "decision": WORDS,
            "new_name": [NAMES[(table["given_label"][0] + 1) % 3], *[""] * 4],
            "time": "",
        }
    )
    return formats.findings(table, NAMES, decided, photos)


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    """`{format: path}`, each written twice, as a second export replaces the first."""
    output = tmp_path_factory.mktemp("audit")
    for _ in range(2):
        paths = {kind: formats.export(found, output, kind) for kind in formats.FORMATS}
    return paths


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_tasks_have_the_suggestion_and_the_decision(found, written):
    tasks = read(written["label_studio"] / "tasks.json")
    worst = found.table.sort_values("label_score", kind="stable")["id"].tolist()
    assert [task["data"]["id"] for task in tasks] == worst
    by_id = {task["data"]["id"]: task for task in tasks}
    first, second, third = found.table["id"][:3]
    image = by_id[first]["data"]["image"]
    start, _, rest = image.partition("?d=")
    assert (start, unquote(rest)) == ("/data/local-files/", f"photos/{first}")

    def chosen(name, which="annotations"):
        regions = by_id[name][which][0]["result"]
        return {each["from_name"]: each["value"]["choices"] for each in regions}

    new = found.table["new_name"][0]
    assert chosen(first) == {"decision": ["relabel"], "label": [new]}
    assert chosen(second)["label"] == [found.table["given_name"][1]]
    assert chosen(third) == {"decision": ["none"]}
    assert sum("annotations" in task for task in tasks) == 5
    for row in found.table.itertuples():
        suggested = chosen(row.id, "predictions")
        outside = row.verdict == "out_of_distribution"
        assert ("label" in suggested) == (not outside)
        assert (suggested["decision"] == ["none"]) == outside
    assert by_id[found.table["id"][19]]["predictions"][0]["score"] is None
    config = ElementTree.parse(written["label_studio"] / "labels.xml")
    values = [each.get("value") for each in config.iter("Choice")]
    assert values == [*NAMES, *decisions.ACTIONS]


def test_samples_have_labels_and_scores(found, written):
    samples = read(written["fiftyone"] / "samples.json")["samples"]
    assert [each["filepath"] for each in samples] == [
        str(found.photos / name) for name in found.table["id"]
    ]
    for sample, row in zip(samples, found.table.itertuples(), strict=True):
        assert sample["given"] == {"_cls": "Classification", "label": row.given_name}
        assert sample["label_score"] == row.label_score
    tags = [sample["decided"]["tags"][0] for sample in samples[:5]]
    assert tags == list(WORDS) and "decided" not in samples[5]
    assert samples[2]["decided"]["label"] == "none"
    classes = read(written["fiftyone"] / "metadata.json")["classes"]
    assert classes == {"given": NAMES, "predicted": NAMES}


def test_a_cleaned_copy_with_metadata(found, written):
    lines = (written["huggingface"] / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 18  # Two are gone: "none" and "delete".
    assert rows[0]["label"] == found.table["new_name"][0] != rows[0]["given_name"]
    for row in rows:
        assert row["file_name"].startswith(f"{row['label']}/é ")
        number = int(row["file_name"].split("é ")[1].split(".")[0])
        pixels = np.asarray(pillow.open(written["huggingface"] / row["file_name"]))
        np.testing.assert_array_equal(pixels, make_image(number, size=16))
    photos = [p for p in written["huggingface"].rglob("*") if p.suffix == ".png"]
    assert len(photos) == 18


def test_decisions_count_more_than_scores(found, written):
    table = pandas.read_csv(written["cleanlab"])
    assert table["is_label_issue"][:5].tolist()[:3] == [True, False, True]
    assert table["is_label_issue"][4] and table["label_quality"][4] == 0
    assert table["label_quality"][:3].tolist() == [0, 1, 0]
    rest = found.table[5:]
    issues = (rest["verdict"] != "clean").tolist()
    assert table["is_label_issue"][5:].tolist() == issues
    np.testing.assert_allclose(table["label_quality"][5:], rest["label_score"])
    new = NAMES.index(found.table["new_name"][0])
    expected = [new, *found.table["predicted_label"][1:]]
    assert table["predicted_label"].tolist() == expected


def test_errors_say_the_fix(found, tmp_path):
    with pytest.raises(ValueError, match=r"one of .*label_studio.*Received: 'coco'"):
        formats.export(found, tmp_path, "coco")
    with pytest.raises(ValueError, match=r"Received: one of other data. Export it for"):
        formats.export(found._replace(photos=None), tmp_path, "fiftyone")
    assert list(tmp_path.iterdir()) == []


def test_without_decisions_labels_stay(found, tmp_path):
    table = found.table.drop(columns=["decision", "action", "new_name"])
    same = formats.findings(table, NAMES)
    assert (same.table["new_name"] == table["given_name"]).all()
    issues = formats.cleanlab(same)["is_label_issue"]
    assert issues.tolist() == (table["verdict"] != "clean").tolist()


def test_cleanlab_takes_the_issues(found, written):
    """Its classifier leaves out what is an issue, and keeps our qualities."""
    pytest.importorskip("cleanlab", reason="needs cleanlab")
    from cleanlab.classification import CleanLearning
    from sklearn.dummy import DummyClassifier

    table = pandas.read_csv(written["cleanlab"])
    learner = CleanLearning(DummyClassifier(), verbose=False)
    labels = table["given_label"].to_numpy()
    learner.fit(np.zeros((20, 2)), labels, label_issues=table)
    kept = labels[~table["is_label_issue"].to_numpy()]
    priors = np.bincount(kept, minlength=3) / len(kept)
    np.testing.assert_allclose(learner.clf.class_prior_, priors)
    learnt = learner.get_label_issues()
    np.testing.assert_allclose(learnt["label_quality"], table["label_quality"])


def test_hugging_face_loads_the_folder(written):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    folder = written["huggingface"]
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), cache_dir=str(folder.parent / "cache")
    )["train"]
    assert loaded.num_rows == 18 and loaded[0]["image"].size == (16, 16)
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    expected = {(r["label"], r["given_name"]) for r in map(json.loads, lines)}
    seen = set(zip(loaded["label"], loaded["given_name"], strict=True))
    assert seen == expected


def test_label_studio_takes_the_tasks(written):
    pytest.importorskip("label_studio_sdk", reason="needs label-studio-sdk")
    from label_studio_sdk.label_interface import LabelInterface

    config = (written["label_studio"] / "labels.xml").read_text(encoding="utf-8")
    interface = LabelInterface(config)
    interface.validate()
    for task in read(written["label_studio"] / "tasks.json"):
        assert interface.validate_task({"data": task["data"]})
        assert all(map(interface.validate_prediction, task["predictions"]))
        assert all(map(interface.validate_annotation, task.get("annotations", [])))
    wrong = task["predictions"][0]
    wrong["result"][0]["value"]["choices"] = ["no such choice"]
    assert not interface.validate_prediction(wrong)


def test_fiftyone_loads_the_samples(found, written):
    """By its importer, which `Dataset.from_dir` uses and which needs no database."""
    pytest.importorskip("fiftyone", reason="needs fiftyone")
    from fiftyone.utils.data import LegacyFiftyOneDatasetImporter

    importer = LegacyFiftyOneDatasetImporter(dataset_dir=str(written["fiftyone"]))
    with importer:
        samples = list(importer)
    assert [sample.filepath for sample in samples] == [
        str(found.photos / name) for name in found.table["id"]
    ]
    assert [sample.decided.tags[0] for sample in samples[:5]] == list(WORDS)
    for sample, row in zip(samples, found.table.itertuples(), strict=True):
        assert sample.given.label == row.given_name
        assert sample.predicted.label == row.predicted_name
        assert sample.label_score == row.label_score
