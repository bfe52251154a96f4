"""The model card's text, from hand-made facts."""

import copy
import json
import re
from pathlib import Path

import pytest

from josrc_keras.export.card import make_card

FOUND = {
    "network": "cnn7",
    "class_names": ["cat", "dog", "axolotl"],
    "noise_found": {"clean": 0.437, "id": 0.411, "ood": 0.152},
    "training": {"method": "josrc", "noise_checksum": "cd" * 32},
    "config": {"epochs": 40, "data": {"name": "digits8n_o"}},
}
INTERFACE = {
    "input": {
        "name": "image",
        "dtype": "float32",
        "shape": [None, 32, 24, 3],
        "range": [0, 255],
        "resize": None,
    },
    "outputs": {"logits": "float32 (N, C)", "probabilities": "rows sum to 1"},
    "encoded": True,
}
QUALITY = {
    "source": "student",
    "temperature": 1.25,
    "test": {
        "images": 178,
        "accuracy": 0.9512,
        "mean_confidence": 0.9031,
        "calibration_error": 0.0123,
        "calibration_error_uncalibrated": 0.0789,
        "labels": "right",
        "chosen_on": False,
    },
    "validation": {"images": 269, "accuracy": {"teacher": 0.61, "student": 0.58}},
}


def report(format="onnx", precision="float32", **more):
    return {
        "format": format,
        "precision": precision,
        "bytes": 2_345_678,
        "max_difference": 3.21e-6,
        "agreement": 0.995,
        "images": 537,
        "accuracy": 0.9457,
        "weights_sha256": "ab" * 32,
        "versions": {"python": "3.12.1", "keras": "3.15.0"},
        **QUALITY,
        **more,
    }


REPORTS = {
    "model.int8.onnx": report(precision="int8"),
    "model.onnx": report(milliseconds={"1": 0.123, "128": 45.678}),
    "saved_model": report("saved_model"),
    "model.tflite": report("litert"),
    "model.keras": report("keras"),
}


def card(reports=REPORTS, plots=(), without=(), **changes):
    """A card of `FOUND` with changes and without some entries of it or of reports."""
    interface = {name: changes.pop(name, INTERFACE[name]) for name in INTERFACE}
    reports = {name: {"interface": interface} | r for name, r in reports.items()}
    found = copy.deepcopy(FOUND) | changes
    for entries in (found, *reports.values()):
        for name in without:
            entries.pop(name, None)
    return make_card(found, reports, plots)


def section(text, heading):
    """What is below a heading, to the next one."""
    (found,) = re.findall(rf"^## {heading}\n\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found


def rows(text):
    """Cells of the table's rows; its form is checked."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in table}) == 1
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert set(table[1]) == {"---"} and len(table) > 2
    return [table[0], *table[2:]]


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_sections_in_order():
    text = card()
    assert text.startswith("# cnn7: 3 classes\n\n")
    assert re.findall("^## (.*)$", text, re.M) == [
        "Files",
        "Input and outputs",
        "How good it is",
        "What training found in the labels",
        "Serve it",
        "How it was made",
    ]
    assert text.endswith("\n") and "\n\n\n" not in text
    assert text.count("```") % 2 == 0


def test_every_artefact_has_a_row():
    """Sizes in 10^6 bytes, shares in percent, an empty cell for what is not known."""
    heading, *body = rows(section(card(), "Files"))
    assert heading[:4] == ["file", "format", "precision", "size"]
    assert [row[0] for row in body] == [f"`{name}`" for name in sorted(REPORTS)]
    by_name = {row[0].strip("`"): dict(zip(heading, row, strict=True)) for row in body}
    assert by_name["model.onnx"] == {
        "file": "`model.onnx`",
        "format": "onnx",
        "precision": "float32",
        "size": "2.35 MB",
        "largest difference of a logit": "3.2e-06",
        "same class": "99.5% of 537",
        "test accuracy": "94.6%",
        "weights": "student",
        "ms for 1 / 128 images": "0.12 / 45.68",
    }
    assert by_name["model.int8.onnx"]["precision"] == "int8"
    assert by_name["model.keras"]["ms for 1 / 128 images"] == ""


def test_an_artefact_without_test_images():
    one = report()
    del one["accuracy"]
    heading, row = rows(section(card({"model.onnx": one}), "Files"))
    assert row[heading.index("test accuracy")] == ""


@pytest.mark.parametrize(
    ("resize", "shape", "text"),
    [
        (None, [None, 32, 24, 3], "(N, 32, 24, 3)"),
        ("crop", [None, None, None, 3], "(N, any, any, 3)"),
        ("stretch", [None, None, None, 1], "(N, any, any, 1)"),
    ],
)
def test_interface(resize, shape, text):
    image = INTERFACE["input"] | {"resize": resize, "shape": shape, "dtype": "uint8"}
    first, empty, *lines = (
        section(card(input=image), "Input and outputs").strip().splitlines()
    )
    assert first == ", ".join(f"`{name}`" for name in REPORTS) + ":" and not empty
    assert lines[0].startswith(f"- input `image`: uint8 {text}: images, height, width")
    ends = {None: "from 0 to 255.", "crop": ", cropped in the middle and resized"}
    assert ends.get(resize, "255, resized inside.") in lines[0]
    assert ("cropped" in lines[0]) == (resize == "crop")
    assert ("resized" in lines[0]) == (resize is not None)
    assert lines[1:] == [
        "- output `logits`: float32 (N, C)",
        "- output `probabilities`: rows sum to 1",
        "",
        "Classes, in order: cat, dog, axolotl.",
    ]


@pytest.mark.parametrize(
    ("resize", "resize_to", "text"),
    [
        (None, None, "to 255."),
        ("crop", [32, 24], "cropped in the middle and resized inside to 32x24."),
        (
            "stretch",
            [256, 24],
            "resized inside to 256x24, of which the network sees the middle 32x24.",
        ),
    ],
)
def test_what_is_resized_to(resize, resize_to, text):
    image = INTERFACE["input"] | {"resize": resize, "resize_to": resize_to}
    image["seen_by_network"] = [32, 24, 3]
    lines = section(card(input=image), "Input and outputs").splitlines()
    assert lines[2].endswith(text)


def test_files_that_differ_are_described_apart():
    """Each by its own interface, in its own words."""
    other = {
        "input": INTERFACE["input"] | {"dtype": "uint8"},
        "outputs": {"logits": "l"},
    }
    reports = REPORTS | {"model.tflite": report("litert", interface=other)}
    text = section(card(reports), "Input and outputs")
    assert text.count("- input `image`: float32") == 1
    alone = "`model.tflite`:\n\n- input `image`: uint8 (N, 32, 24, 3): images, height"
    assert alone in text and text.count("model.tflite") == 1


def test_without_names():
    text = card(class_names=[])
    assert text.startswith("# cnn7: unnamed classes\n")
    assert "Classes, in order" not in text


def test_quality():
    lines = section(card(), "How good it is")
    for part in ("95.1% on 178 rightly", "confidence 90.3%", "7.9% as trained, 1.2%"):
        assert part in lines
    assert "temperature 1.25" in lines
    assert "- student exported; on 269 images to choose by: teacher 61.0%, s" in lines
    only = section(card(without=["test"]), "How good it is")
    assert "accuracy" not in only and "student exported" in only
    only = section(card(without=["validation"]), "How good it is")
    assert "95.1%" in only and "exported" not in only
    none = section(card(without=["test", "validation"]), "How good it is")
    assert none.strip() == "Not measured: no validation data was at hand."


@pytest.mark.parametrize(
    ("labels", "chosen_on", "text"),
    [
        (
            "right",
            False,
            "rightly labelled images that were neither trained on nor used to choose "
            "anything here",
        ),
        (
            "as given",
            False,
            "images, by labels as given, some of which may be wrong, that were neither "
            "trained on nor used to choose anything here",
        ),
        (
            "as given",
            True,
            "images, by labels as given, some of which may be wrong, that were not "
            "trained on, but used to choose network or temperature, so that the "
            "figures of this list are optimistic",
        ),
        (None, None, "images that were not trained on"),
    ],
)
def test_what_the_test_images_are(labels, chosen_on, text):
    """Nothing that is not known: an export of before these entries has none."""
    test = QUALITY["test"] | {"labels": labels, "chosen_on": chosen_on}
    if labels is None:
        del test["labels"], test["chosen_on"]
    found = section(card({"model.onnx": report(test=test)}), "How good it is")
    assert found.splitlines()[0] == f"- accuracy 95.1% on 178 {text}"


def test_files_of_two_exports():
    """Each by its own accuracy, temperature, weights and versions."""
    later = {
        "source": "teacher",
        "temperature": 3.5,
        "test": QUALITY["test"] | {"accuracy": 0.8765},
        "weights_sha256": "ef" * 32,
        "versions": {"python": "3.13.0", "keras": "3.15.0"},
    }
    text = card(REPORTS | {"model.onnx": report(**later)})
    others = ", ".join(f"`{name}`" for name in REPORTS if name != "model.onnx")
    quality = section(text, "How good it is")
    first, second = quality.split("\n\n`model.onnx`:\n\n")
    assert first.startswith(f"{others}:\n\n- accuracy 95.1%")
    for part in ("with temperature 1.25\n", "- student exported"):
        assert part in first and part not in second
    for part in ("- accuracy 87.6%", "with temperature 3.5\n", "- teacher exported"):
        assert part in second and part not in first
    made = section(text, "How it was made")
    assert f"- weights of {others}: SHA-256 `{'ab' * 32}`" in made
    assert f"- weights of `model.onnx`: SHA-256 `{'ef' * 32}`" in made
    assert "- versions of `model.onnx`: python 3.13.0, keras 3.15.0" in made


def test_an_export_of_before_these_entries():
    text = card(without=["weights_sha256", "versions"])
    for name in ("weights", "versions"):
        assert f"- {name}: see the file's metadata" in section(text, "How it was made")


def test_noise():
    heading = "What training found in the labels"
    assert section(card(), heading).strip() == (
        "In the last epoch it took 44% rightly labelled, 41% wrongly labelled, 15% of "
        "none of the classes."
    )
    some = section(card(noise_found={"clean": 0.5}), heading).strip()
    assert some == "In the last epoch it took 50% rightly labelled."
    none = section(card(without=["noise_found"]), heading).strip()
    assert none == "This method does not sort samples."


def test_plots_are_shown():
    plots = [Path("runs/x/plots/accuracy.png"), Path("runs/x/plots/selection.png")]
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", card(plots=plots))
    assert shown == [
        ("accuracy", "plots/accuracy.png"),
        ("selection", "plots/selection.png"),
    ]
    assert "![" not in card()


def test_clients():
    """A block for each format, of the float32 file; SavedModel's second one too."""
    found = blocks(card())
    assert len(found) == 5
    for block in found:
        compile(block, "card", "exec")
    text = "\n".join(found)
    assert 'InferenceSession("model.onnx")' in text and "int8" not in text
    assert 'load("saved_model")' in text and 'load_model("model.keras")' in text
    assert 'Interpreter(model_path="model.tflite")' in text
    assert text.count('(8, 32, 24, 3), "float32"') == 4
    assert 'logits, probabilities = session.run(["logits", "probabilities"], {' in text
    assert "serving_encoded" in found[2] and "saved_model.load" in found[1]


def test_clients_of_some():
    """Only int8; any size; one output, unpacked from a list of one; not encoded."""
    image = INTERFACE["input"] | {"shape": [None, None, None, 3], "dtype": "uint8"}
    (block,) = blocks(
        card(
            {"model.int8.onnx": report(precision="int8")},
            input=image,
            outputs={"probabilities": "text", "top_names": "text"},
        )
    )
    assert 'InferenceSession("model.int8.onnx")' in block
    assert 'np.zeros((8, 300, 300, 3), "uint8")' in block
    assert 'probabilities, = session.run(["probabilities"], {' in block
    reports = {"saved_model": report("saved_model")}
    assert len(blocks(card(reports))) == 2
    assert len(blocks(card(reports, encoded=False))) == 1


@pytest.mark.parametrize(
    ("channels", "formats", "transparent"),
    [
        (1, "JPEG or PNG", "Transparency is ignored."),
        (3, "JPEG, PNG, BMP or GIF", "A transparent PNG shows white behind it, as"),
        (4, "PNG or BMP", "Transparency is the fourth channel."),
    ],
)
def test_encoded_images(channels, formats, transparent):
    """Which formats, and what is not done for them as it is in training."""
    image = INTERFACE["input"] | {"shape": [None, 32, 24, channels]}
    reports = {"saved_model": report("saved_model")}
    text = section(card(reports, input=image), "Serve it")
    assert f"A SavedModel also takes encoded images ({formats}):\n" in text
    assert "Turn photos upright before: their EXIF orientation is not appl" in text
    assert transparent in text


def test_how_it_was_made():
    text = section(card(), "How it was made")
    assert "- method: josrc\n- noise checksum: " + "cd" * 32 in text
    assert f"- weights: SHA-256 `{'ab' * 32}`" in text
    assert "- versions: python 3.12.1, keras 3.15.0" in text
    (config,) = re.findall(r"```json\n(.*?)```", text, re.S)
    assert json.loads(config) == FOUND["config"]
    assert text.count("<details>") == text.count("</details>") == 1
    bare = section(card(without=["training", "config"]), "How it was made")
    assert bare.startswith("- weights:") and "<details>" not in bare
