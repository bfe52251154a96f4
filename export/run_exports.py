"""From a run folder to artefacts and a model card in its `export/`."""

import json
import shutil
from pathlib import Path

import keras
import ml_collections
import numpy as np

from josrc_keras import _files
from josrc_keras.export import card, classifier, latency, metadata, sources, writers
from josrc_keras.export.preparation import halves, prepare
from josrc_keras.export.serving import Serving
from josrc_keras.runs import build_data
from josrc_keras.runs import folder as run_folder

CARD = "README.md"
REPORTS = "exports.json"  # The reports of the artefacts in the folder.
ENOUGH = 400  # Photos of which one half chooses and the other half reports.


def prepare_run(
    run,
    source=None,
    *,
    serving,
    calibrate=False,
    label_noise=None,
    new_statistics=False,
):
    """Loads a finished run, and decides what is exported of it.

    Where the run has held-out images (`config.data.validation_share`), these choose and
    calibrate, and the test images report. Otherwise every other test image chooses, and
    the others report. Where photos, whose labels are not known to be right, are fewer
    than `ENOUGH`, the same photos do both. The findings of `test` say so: `labels` is
    `"right"` or `"as given"`, and `chosen_on` whether the same images choose.

    Where the run trained on crops (`config.augmentation.size`), evaluation showed the
    middle of each image to the network, and so does this function. An artefact that
    resizes crops by itself: `resize_to` is the size of the run's images, unless
    `serving` says otherwise.

    Args:
        run: The run folder.
        source: `"teacher"`, `"student"`, or None for the better one.
        serving: Dict of arguments of `Serving`.
        calibrate: Whether to fit the temperature.
        label_noise: Share of wrong labels among the held-out images; None if unknown.
        new_statistics: Whether to estimate the statistics of batch normalisation anew,
            on the training images.

    Returns:
        A `preparation.Prepared`, and a dict of what the artefacts say of the run.

    Raises:
        OSError: If the run is not finished or its data can't be read.
        ValueError: If an argument is out of range.
    """
    run = Path(run)
    config = ml_collections.ConfigDict(run_folder.read_config(run))
    for name in ("model.keras", "summary.json"):
        if not (run / name).exists():
            raise FileNotFoundError(
                f"Expected a finished run. Received: {run}, which has no {name}. "
                "Run josrc-train with the same --workdir until it ends."
            )
    model = keras.saving.load_model(run / "model.keras")
    benchmark = build_data.make_benchmark(config, run)
    serving = {"class_names": benchmark.class_names, **serving}
    # Older runs lack this field.
    crops = config.augmentation.get("size") is not None
    if crops and serving.get("resize") and serving.get("resize_to") is None:
        serving["resize_to"] = benchmark.test.images.shape[1:3]
    serving = Serving(**serving)

    def pair(split):
        images = np.asarray(split.images)
        if crops and serving.resize is None:
            images = _all_of(_Seen(model, images))
        return images, split.labels

    prepared = prepare(
        model,
        source,
        serving=serving,
        calibrate=calibrate,
        new_statistics=_Seen(model, benchmark.train.images) if new_statistics else None,
        **_divided(benchmark, pair, label_noise),
    )
    as_given = benchmark.test.true_labels is None
    prepared.findings["test"]["labels"] = "as given" if as_given else "right"
    return prepared, _about(run, config)


def _divided(benchmark, pair, label_noise):
    """The images that choose and those that report, as arguments of `prepare`.

    Args:
        benchmark: The run's `data.Benchmark`.
        pair: A function from a split to `(images, labels)`.
        label_noise: As in `prepare_run`.
    """
    test, held_out = pair(benchmark.test), benchmark.validation
    if held_out is not None:
        if np.array_equal(held_out.labels, held_out.true_labels):  # All are right.
            label_noise = 0.0 if label_noise is None else label_noise
        return {"validation": pair(held_out), "test": test, "label_noise": label_noise}
    if benchmark.test.true_labels is None:  # Photos, and there are no others.
        both = halves(test) if len(test[1]) >= ENOUGH else (test, test)
        return {"validation": both[0], "test": both[1], "label_noise": label_noise}
    if label_noise is not None:
        raise ValueError(
            "--label_noise is that of held-out training images. Received: a run "
            "without any. Train with --config.data.validation_share=0.1, or leave "
            "the flag out: the test set's labels are right."
        )
    return {"validation": test, "label_noise": 0.0}


class _Seen:
    """Images as evaluation shows them to the network, made when they are read."""

    def __init__(self, model, images):
        self.model = model
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """The images of a slice, as a NumPy array."""
        images = np.asarray(self.images[rows])
        return keras.ops.convert_to_numpy(self.model.seen_in_evaluation(images))


def _all_of(images):
    """All images in one array, which are read a few at a time."""
    starts = range(0, len(images), sources.BATCH)
    return np.concatenate([images[start : start + sources.BATCH] for start in starts])


def _about(run, config):
    """A dict of what an artefact says of its run."""
    summary = run_folder.read_summary(run)
    last = run_folder.read_history(run)[-1]
    shares = {kind: last.get(f"{kind}_fraction") for kind in ("clean", "id", "ood")}
    about = {
        "training": {
            name: summary[name]
            for name in ("method", "epochs", "seed", "train_images", "noise_checksum")
        }
        | {"data": config.data.name, "command": summary["command"]},
        "config": config.to_dict(),
    }
    found = {kind: share for kind, share in shares.items() if share is not None}
    return about | ({"noise_found": found} if found else {})


def choice(findings):
    """Two lines on which network is exported and why, and on its calibration."""
    source = findings["source"]
    validation = findings["validation"]
    others = [
        f"the {name} {accuracy:.1%}"
        for name, accuracy in validation["accuracy"].items()
        if name != source
    ]
    text = f"Exporting the {source}: {validation['accuracy'][source]:.1%}"
    if others:
        text += f" ({', '.join(others)})"
    noisy = validation["label_noise"] != 0
    text += f" of {validation['images']} {'noisy ' if noisy else ''}validation labels"
    test = findings["test"]
    text += f"; {test['accuracy']:.1%} of {test['images']} test images"
    text += ", labels as given" if test["labels"] == "as given" else ""
    text += ", the same that choose." if test["chosen_on"] else "."
    if "calibration" in findings:
        temperature = findings["calibration"]["temperature"]
        text += (
            f"\nTemperature {temperature:.3g}: expected calibration error "
            f"{test['calibration_error_uncalibrated']:.1%} before, "
            f"{test['calibration_error']:.1%} after."
        )
    else:
        text += (
            f"\nExpected calibration error {test['calibration_error']:.1%} (mean "
            f"confidence {test['mean_confidence']:.1%}); see --calibrate."
        )
    return text


def export_one(prepared, about, path, options):
    """Writes and proves one artefact, and keeps its report. See `export_prepared`."""
    report = classifier.export_prepared(prepared, path, options, extra_metadata=about)
    path = Path(path)
    found = metadata.read_metadata(path)
    channels = found["input"]["shape"][-1]
    report["interface"] = {
        "input": found["input"],
        "outputs": found["outputs"],
        "encoded": channels in writers.ENCODED_FORMATS,
    }
    report |= {name: found[name] for name in ("weights_sha256", "versions")}
    reports = _reports(path.parent) | {path.name: report}
    _files.write_json(path.parent / REPORTS, reports)
    return report


def _reports(folder):
    """The reports of artefacts that are still in the folder, by file name."""
    path = folder / REPORTS
    if not path.exists():
        return {}
    reports = json.loads(path.read_text(encoding="utf-8"))
    return {name: r for name, r in reports.items() if (folder / name).exists()}


def line(report):
    """A line about an artefact."""
    text = (
        f"{report['format']:<12} {report['precision']:<8} {report['path']} "
        f"({report['bytes'] / 1e6:.2f} MB): largest difference of a logit "
        f"{report['max_difference']:.1e}, same class for {report['agreement']:.1%} of "
        f"{report['images']} images"
    )
    if report["precision"] != "float32":
        text += (
            f"; accuracy {report['accuracy']:.1%} "
            f"(float32 {report['test']['accuracy']:.1%})"
        )
    return text


def time_exports(run, prepared, requests):
    """Times artefacts beside the plain Keras network, and keeps the times.

    Args:
        run: The run folder.
        prepared: What `prepare_run` returned.
        requests: Dict from an artefact's path to its options.

    Returns:
        A table, as text.
    """
    artefacts = {
        Path(path).name: (options["format"], path) for path, options in requests.items()
    }
    rows = latency.measure(prepared.network, prepared.serving, artefacts)
    folder = Path(run) / "export"
    reports = _reports(folder)
    lines = [f"{'':<20}{'batch':>6}{'ms':>10}{'x Keras':>10}"]
    for row in rows:
        if row["name"] in reports:
            times = reports[row["name"]].setdefault("milliseconds", {})
            times[str(row["batch"])] = row["milliseconds"]
        lines.append(
            f"{row['name']:<20}{row['batch']:>6}{row['milliseconds']:>10.2f}"
            f"{row['ratio']:>10.2f}"
        )
    _files.write_json(folder / REPORTS, reports)
    return "\n".join(lines)


def write_card(run, prepared, about):
    """Writes the model card with the run's plots, and returns its path."""
    folder = Path(run) / "export"
    reports = _reports(folder)
    names = prepared.serving.class_names
    found = {"network": prepared.network.name, "class_names": names} | about
    plots = sorted((Path(run) / "plots").glob("*.png"))
    if plots:
        with _files.replacing(folder / "plots") as beside:
            beside.mkdir()
            for plot in plots:
                shutil.copy(plot, beside)
    _files.write_text(folder / CARD, card.make_card(found, reports, plots))
    return folder / CARD
