"""Measures exports of four networks: how equal, how large and how fast they are.

    python benchmarks/export.py --output=results/export.json
    KERAS_BACKEND=jax python benchmarks/export.py --formats=saved_model,onnx

The digits' network and `cnn7` are trained for 100 steps on real images (scikit-learn's
digits, CIFAR-100). The ResNets have random weights, and their batch normalisation has
the statistics of CIFAR-100's images, enlarged. Each network is exported, and the
artefact, run in a fresh process, is compared with the Keras network in float32 on 1,000
images. With --latency two ONNX files are timed in turns on one image: the one exported
here (--input says the type of pixels, logits and probabilities come out) and the one
that Keras exports of the bare network. All artefacts are timed beside Keras, too.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import josrc_keras  # noqa: F401  It comes first, since it sets oneDNN.
from josrc_keras import _files, data, networks
from josrc_keras.baselines import Standard
from josrc_keras.export import (
    Serving,
    classifier,
    latency,
    preparation,
    served_process,
    sources,
)
from josrc_keras.runs import summary

NETWORKS = {
    "digits_cnn": {"side": 8, "classes": 8},
    "cnn7": {"side": 32, "classes": 80},
    "resnet18": {"side": 64, "classes": 80},
    "resnet50": {"side": 64, "classes": 80},
}
NAMES = {
    "saved_model": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "keras": "model.keras",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--policies", default="float32,mixed_bfloat16")
    parser.add_argument("--formats", default=",".join(NAMES))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--input", default="uint8", help="float32 or uint8")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--output")
    arguments = parser.parse_args()
    rows, times = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks.split(","):
            for policy in arguments.policies.split(","):
                keras.utils.set_random_seed(0)
                network, images = trained(name, policy, arguments)
                found, prepared = exported(network, images, folder, arguments)
                for row in found:
                    rows.append({"network": name, "policy": policy} | row)
                    print(line(rows[-1]), flush=True)
                if arguments.latency and policy == "float32":
                    found = timed(name, prepared, Path(folder), arguments)
                    times += found
                    for row in found:
                        print(row, flush=True)
    if arguments.output:
        facts = {"device": summary.device(), "versions": summary.versions()}
        facts |= {"arguments": vars(arguments), "exports": rows, "latency": times}
        _files.write_json(arguments.output, facts)


def trained(name, policy, arguments):
    """A network with statistics of real images, and images it was not trained on."""
    side, classes = NETWORKS[name]["side"], NETWORKS[name]["classes"]
    if name == "digits_cnn":
        benchmark = data.digits8n_o()
        images = np.concatenate([benchmark.test.images, benchmark.train.images])
        train = benchmark.train
    else:
        benchmark = data.cifar80n_o()
        images, train = benchmark.test.images, benchmark.train
    keras.config.set_dtype_policy(policy)
    channels = 1 if name == "digits_cnn" else 3
    network = networks.NETWORKS[name](classes, input_shape=(side, side, channels))
    keras.config.set_dtype_policy("float32")
    seen = enlarged(train.images[:640], side)
    if not name.startswith("resnet"):  # A ResNet would need far more steps.
        model = Standard(network, classes)
        model.compile(keras.optimizers.Adam(1e-3))
        model.fit(seen, train.labels[:640], batch_size=32, epochs=5, verbose=0)
    network = sources.with_new_statistics(network, seen)
    return network, enlarged(images[: arguments.images], side)


def enlarged(images, side):
    factor = side // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def exported(network, images, folder, arguments):
    weights = sum(weight.nbytes for weight in network.get_weights())
    prepared = preparation.prepare(
        network, serving=Serving(dtype=arguments.input), images=images
    )
    logits = sources.predict(prepared.network, images)
    largest = float(np.abs(logits).max())
    rows = []
    for format in arguments.formats.split(","):
        path = Path(folder) / NAMES[format]
        options = {"format": format, "precision": "float32", "opset": 18}
        report = classifier.export_prepared(prepared, path, options)
        rows.append(
            {
                "format": format,
                "images": len(images),
                "max_difference": report["max_difference"],
                "largest_logit": largest,
                "agreement": report["agreement"],
                "bytes": report["bytes"],
                "bytes_to_weights": report["bytes"] / weights,
                "rounding": report.get("rounding"),
            }
        )
    return rows, prepared


def line(row):
    text = (
        f"{row['network']:<11} {row['policy']:<15} {row['format']:<12} difference "
        f"{row['max_difference']:.1e} of {row['largest_logit']:.3g}, same class "
        f"{row['agreement']:.2%} of {row['images']}, {row['bytes'] / 1e6:.2f} MB = "
        f"weights {100 * (row['bytes_to_weights'] - 1):+.1f}%"
    )
    if row["rounding"]:
        text += (
            f"; as trained {row['rounding']['max_difference']:.1e}, "
            f"{row['rounding']['agreement']:.1%}"
        )
    return text


def timed(name, prepared, folder, arguments):
    formats = arguments.formats.split(",")
    artefacts = {format: (format, folder / NAMES[format]) for format in formats}
    rows = latency.measure(prepared.network, prepared.serving, artefacts, seconds=3.0)
    rows.append(against_bare(prepared, folder))
    return [{"network": name} | row for row in rows]


def against_bare(prepared, folder, rounds=2000, seconds=20):
    """Times our ONNX file against Keras's export of the bare network, on one image."""
    bare = folder / "bare.onnx"
    network = prepared.network
    spec = keras.InputSpec(shape=network.input_shape, dtype="float32", name="image")
    network.export(str(bare), format="onnx", verbose=False, input_signature=[spec])
    pixels = prepared.images[:1].astype(prepared.serving.dtype)
    calls = {
        "bare": (served_process.onnx_predictor(str(bare)), pixels.astype("float32")),
        "ours": (served_process.onnx_predictor(str(folder / "model.onnx")), pixels),
    }
    times = {key: [] for key in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and len(times["ours"]) < rounds:
        for key, (predict, images) in calls.items():
            start = time.perf_counter()
            predict("all", images)
            times[key].append(time.perf_counter() - start)
    medians = {key: statistics.median(values[5:]) for key, values in times.items()}
    return {
        "name": "onnx / bare onnx",
        "batch": 1,
        "milliseconds": 1000 * medians["ours"],
        "ratio": medians["ours"] / medians["bare"],
    }


if __name__ == "__main__":
    main()
