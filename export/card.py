"""The model card: what a run's artefacts are, how good they are, how to serve them."""

import json

from josrc_keras.export import writers

SERVE = {
    "onnx": """```python
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{path}")
images = np.zeros({shape}, "{dtype}")  # your images, pixels in [0, 255]
{names} = session.run({list}, {{"image": images}})
```""",
    "saved_model": """```python
import tensorflow as tf

signatures = tf.saved_model.load("{path}").signatures
images = tf.zeros({shape}, "{dtype}")  # your images, pixels in [0, 255]
outputs = signatures["serving_default"](image=images)
```""",
    "litert": """```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert

classify = Interpreter(model_path="{path}").get_signature_runner("serving_default")
outputs = classify(image=np.zeros({shape}, "{dtype}"))
```""",
    "keras": """```python
import keras
import numpy as np

model = keras.saving.load_model("{path}")
outputs = model(np.zeros({shape}, "{dtype}"))
```""",
}
ENCODED = """A SavedModel also takes encoded images ({formats}):

```python
encoded = tf.constant([open("photo.jpg", "rb").read()])
outputs = signatures["serving_encoded"](image_bytes=encoded)
```

Turn photos upright before: their EXIF orientation is not applied here, as it is in
training on photos. {transparent}"""
# What happens to transparency, by the number of channels.
TRANSPARENT = {
    1: "Transparency is ignored.",
    3: "A transparent PNG shows white behind it, as in training on photos, and a "
    "transparent GIF black. The palette of a BMP is not read.",
    4: "Transparency is the fourth channel. The palette of a BMP is not read.",
}
# Words for the labels of test images, and whether these chose. Older exports lack both.
LABELS = {
    "right": "rightly labelled images",
    "as given": "images, by labels as given, some of which may be wrong,",
}
CHOSEN = {
    False: "neither trained on nor used to choose anything here",
    True: "not trained on, but used to choose network or temperature, so that the "
    "figures of this list are optimistic",
}


def make_card(found, reports, plots):
    """Makes the card.

    Args:
        found: Dict of what all artefacts share: `network`, `class_names`, and
            `training`, `config` and `noise_found` of the run.
        reports: Dict from a file name to the report of its export. Beside the results
            of the proof it has `interface` (`input`, `outputs`, and whether the file
            takes `encoded` images), `weights_sha256` and `versions`.
        plots: Paths of the run's plots, which are copied to `plots/` beside the card.

    Returns:
        The card, a Markdown text.
    """
    parts = [
        f"# {found['network']}: {len(found['class_names']) or 'unnamed'} classes",
        "Written by `josrc-export`, anew at every export of this run.",
        "## Files",
        _files(reports),
        "## Input and outputs",
        _interfaces(reports, found["class_names"]),
        "## How good it is",
        _qualities(reports),
        "## What training found in the labels",
        _noise(found),
        *(f"![{plot.stem}](plots/{plot.name})" for plot in plots),
        "## Serve it",
        *_serving(reports),
        "## How it was made",
        _training(found, reports),
    ]
    return "\n\n".join(parts) + "\n"


def _table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _files(reports):
    rows = [
        (
            f"`{name}`",
            report["format"],
            report["precision"],
            f"{report['bytes'] / 1e6:.2f} MB",
            f"{report['max_difference']:.1e}",
            f"{report['agreement']:.1%} of {report['images']}",
            f"{report['accuracy']:.1%}" if "accuracy" in report else "",
            report["source"],
            _milliseconds(report),
        )
        for name, report in sorted(reports.items())
    ]
    table = _table(
        (
            "file",
            "format",
            "precision",
            "size",
            "largest difference of a logit",
            "same class",
            "test accuracy",
            "weights",
            "ms for 1 / 128 images",
        ),
        rows,
    )
    return (
        f"{table}\n\nDifferences are from the trained network in float32, measured on "
        "real images in a fresh process before the file got its name."
    )


def _milliseconds(report):
    return " / ".join(f"{ms:.2f}" for ms in report.get("milliseconds", {}).values())


def _alike(reports, describe):
    """Groups files by what a function says of their reports: a dict to their names."""
    alike: dict = {}
    for name, report in reports.items():
        alike.setdefault(describe(report), []).append(f"`{name}`")
    return {text: ", ".join(names) for text, names in alike.items()}


def _interfaces(reports, class_names):
    """What the files take and return, with files that are alike together."""
    alike = _alike(reports, lambda report: _interface(report["interface"]))
    parts = [f"{names}:\n\n{text}" for text, names in alike.items()]
    if class_names:
        parts.append(f"Classes, in order: {', '.join(class_names)}.")
    return "\n\n".join(parts)


def _interface(interface):
    image = interface["input"]
    sides = ["any" if side is None else str(side) for side in image["shape"][1:]]
    lines = [
        f"- input `image`: {image['dtype']} (N, {', '.join(sides)}): images, height, "
        f"width, channels; pixels from {image['range'][0]} to {image['range'][1]}"
        + {
            None: "",
            "crop": ", cropped in the middle and resized inside",
            "stretch": ", resized inside",
        }[image["resize"]]
        + _resized_to(image)
        + ".",
        *(f"- output `{name}`: {text}" for name, text in interface["outputs"].items()),
    ]
    return "\n".join(lines)


def _resized_to(image):
    """The size that a file's images are resized to and cropped to, in words."""
    resized = image.get("resize_to")  # Older exports lack this entry.
    if not resized:
        return ""
    height, width, _ = image["seen_by_network"]
    text = f" to {resized[0]}x{resized[1]}"
    if [height, width] != list(resized):
        text += f", of which the network sees the middle {height}x{width}"
    return text


def _qualities(reports):
    """How good the files are, with their names where they differ."""
    alike = _alike(reports, _quality)
    if len(alike) == 1:
        return next(iter(alike))
    return "\n\n".join(f"{names}:\n\n{text}" for text, names in alike.items())


def _quality(report):
    lines = []
    if "test" in report:
        test = report["test"]
        labels = LABELS.get(test.get("labels"), "images")
        chosen = CHOSEN.get(test.get("chosen_on"), "not trained on")
        lines += [
            f"- accuracy {test['accuracy']:.1%} on {test['images']} {labels} that were "
            f"{chosen}",
            f"- mean confidence {test['mean_confidence']:.1%}; expected calibration "
            f"error {test['calibration_error_uncalibrated']:.1%} as trained, "
            f"{test['calibration_error']:.1%} with temperature "
            f"{report['temperature']:.3g}",
        ]
    if "validation" in report:
        validation = report["validation"]
        each = ", ".join(f"{n} {a:.1%}" for n, a in validation["accuracy"].items())
        lines.append(
            f"- {report['source']} exported; on {validation['images']} images to "
            f"choose by: {each}"
        )
    return "\n".join(lines) or "Not measured: no validation data was at hand."


def _noise(found):
    noise = found.get("noise_found")
    if not noise:
        return "This method does not sort samples."
    names = {
        "clean": "rightly labelled",
        "id": "wrongly labelled",
        "ood": "of none of the classes",
    }
    shares = [f"{noise[k]:.0%} {name}" for k, name in names.items() if k in noise]
    return f"In the last epoch it took {', '.join(shares)}."


def _serving(reports):
    for format, text in SERVE.items():
        paths = [name for name, r in reports.items() if r["format"] == format]
        paths.sort(key=len)  # The name of the file in float32 is the shortest.
        if paths:
            interface = reports[paths[0]]["interface"]
            image = interface["input"]
            shape = [8, *(side or 300 for side in image["shape"][1:])]
            names = [name for name in interface["outputs"] if name != "top_names"]
            yield text.format(
                path=paths[0],
                shape=tuple(shape),
                dtype=image["dtype"],
                names=", ".join(names) + ("," if len(names) == 1 else ""),
                list=json.dumps(names),
            )
            if format == "saved_model" and interface["encoded"]:
                channels = image["shape"][-1]
                yield ENCODED.format(
                    formats=writers.ENCODED_FORMATS[channels],
                    transparent=TRANSPARENT[channels],
                )


def _training(found, reports):
    training = found.get("training", {})
    lines = [f"- {name.replace('_', ' ')}: {text}" for name, text in training.items()]
    for name, describe in (("weights", _weights), ("versions", _versions)):
        alike = _alike(reports, describe)
        for text, files in alike.items():
            of_files = f" of {files}" if len(alike) > 1 else ""
            lines.append(f"- {name}{of_files}: {text}")
    if "config" in found:
        lines.append(
            "\n<details><summary>Configuration</summary>\n\n```json\n"
            f"{json.dumps(found['config'], indent=2)}\n```\n\n</details>"
        )
    return "\n".join(lines)


def _weights(report):
    checksum = report.get("weights_sha256")  # Older exports lack this entry.
    return f"SHA-256 `{checksum}`" if checksum else "see the file's metadata"


def _versions(report):
    used = report.get("versions", {})
    return ", ".join(f"{n} {v}" for n, v in used.items()) or "see the file's metadata"
