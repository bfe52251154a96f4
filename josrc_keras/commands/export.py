"""Exports the classifier of a finished run, with a model card.

josrc-export --run=runs/digits --format=saved_model,onnx,litert,keras
"""

import contextlib
from pathlib import Path

from absl import flags

from josrc_keras.commands import shell

_RUN = flags.DEFINE_string("run", None, "The run folder that was trained.")
flags.DEFINE_alias("workdir", "run")
_FORMATS = flags.DEFINE_list(
    "format", ["saved_model", "onnx"], "Any of saved_model, onnx, litert, keras."
)
_PRECISIONS = flags.DEFINE_list(
    "precision",
    ["float32"],
    "Any of float32 and, for onnx and litert, float16 and int8. Each format is written "
    "in those that it has.",
)
_SOURCE = flags.DEFINE_enum(
    "source",
    "best",
    ["best", "teacher", "student"],
    "Which network; best: whichever predicts more of the labels that choose.",
)
_INPUT = flags.DEFINE_enum("input", "float32", ["float32", "uint8"], "Type of pixels.")
_RESIZE = flags.DEFINE_enum(
    "resize", "none", ["none", "crop", "stretch"], "Take images of any size."
)
_RESIZE_TO = flags.DEFINE_integer(
    "resize_to",
    None,
    "With --resize: height and width to resize to, of which the network sees the "
    "middle. Default: as in evaluation, the size of the run's images where "
    "config.augmentation.size crops them, else the network's.",
)
_OUTPUTS = flags.DEFINE_list(
    "outputs", ["logits", "probabilities"], "Any of logits, probabilities."
)
_TOP_K = flags.DEFINE_integer(
    "top_k", 0, "Number of most probable classes to return, too, by name."
)
_CALIBRATE = flags.DEFINE_bool(
    "calibrate", False, "Fit the temperature of the probabilities."
)
_LABEL_NOISE = flags.DEFINE_float(
    "label_noise",
    None,
    "Share of wrong labels among held-out training images, if known (see "
    "config.data.validation_share).",
)
_NEW_STATISTICS = flags.DEFINE_bool(
    "new_statistics",
    False,
    "Estimate the statistics of batch normalisation anew, on the training images.",
)
_OPSET = flags.DEFINE_integer("opset", 18, "ONNX opset, 13 to 18.")
_LATENCY = flags.DEFINE_bool("latency", False, "Time the artefacts.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace what is there.")
shell.require("run")

NAMES = {
    "saved_model": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "keras": "model.keras",
}


def _export():
    shell.begin()
    from josrc_keras import _files

    run = Path(str(_RUN.value))
    # Each of two exports at the same time would lose the report of the other.
    with _files.locked(run) if run.is_dir() else contextlib.nullcontext():
        _files.remove_unfinished(run / "export")  # A killed export leaves these.
        _export_from(run)


def _export_from(run):
    from josrc_keras._checks import check_choice
    from josrc_keras.export import classifier, run_exports
    from josrc_keras.training import progress

    folder = run / "export"
    if not _FORMATS.value or not _PRECISIONS.value:
        raise ValueError(
            "Expected at least one --format and --precision. Received: "
            f"--format={','.join(_FORMATS.value)} "
            f"--precision={','.join(_PRECISIONS.value)}."
        )
    requests = {}
    for format in _FORMATS.value:
        check_choice("--format", format, classifier.FORMATS)
        for precision in _precisions(format):
            options = {"format": format, "precision": precision, "opset": _OPSET.value}
            path = folder / _file_name(format, precision)
            classifier.check_request(path, options, overwrite=_OVERWRITE.value)
            requests[path] = options
    prepared, about = run_exports.prepare_run(
        run,
        None if _SOURCE.value == "best" else _SOURCE.value,
        serving={
            "dtype": _INPUT.value,
            "resize": None if _RESIZE.value == "none" else _RESIZE.value,
            "resize_to": None if _RESIZE_TO.value is None else (_RESIZE_TO.value,) * 2,
            "outputs": tuple(_OUTPUTS.value),
            "top_k": _TOP_K.value,
        },
        calibrate=_CALIBRATE.value,
        label_noise=_LABEL_NOISE.value,
        new_statistics=_NEW_STATISTICS.value,
    )
    shell.say(run_exports.choice(prepared.findings))
    for path, options in progress.follow(requests.items(), len(requests), "exports"):
        report = run_exports.export_one(prepared, about, path, options)
        shell.say(run_exports.line(report))
    if _LATENCY.value:
        shell.say(run_exports.time_exports(run, prepared, requests))
    shell.say(f"Model card: {run_exports.write_card(run, prepared, about)}")


def _precisions(format):
    """The precisions among those asked for that a format can be written in."""
    from josrc_keras._checks import check_choice
    from josrc_keras.export.precision import PRECISIONS

    for precision in _PRECISIONS.value:
        check_choice("--precision", precision, PRECISIONS["onnx"])
    chosen = [p for p in _PRECISIONS.value if p in PRECISIONS[format]]
    if not chosen:
        raise ValueError(
            f"Expected --precision for {format} as one of {PRECISIONS[format]}. "
            f"Received: {','.join(_PRECISIONS.value)}."
        )
    return chosen


def _file_name(format, precision):
    stem, dot, suffix = NAMES[format].partition(".")
    return f"{stem}{'' if precision == 'float32' else f'.{precision}'}{dot}{suffix}"


def main():
    """Entry point of `josrc-export`."""
    shell.run(_export)


if __name__ == "__main__":
    main()
