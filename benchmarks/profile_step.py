"""Measures where the time of a TensorFlow training step goes, by kind of operation.

    python benchmarks/profile_step.py --output=results/scale/profile.json

The script profiles some steps of Jo-SRC (batch 128, `cnn7` with the MLP head, joint
phase) with TensorFlow's profiler, and adds up the time of every operation over all
threads.
"""

import argparse
import collections
import glob
import json
import pathlib
import sys
import tempfile

import josrc_step

KINDS = {  # Beginnings of an operation's type, without `_Mkl` and `Native`.
    "convolution": ("Conv2D", "FusedConv2D"),
    "batch normalisation": ("FusedBatchNorm",),
    "dense layers": ("MatMul", "FusedMatMul", "BiasAdd"),
    "pooling": ("MaxPool",),
    "ReLU": ("Relu",),
}


def profile(steps, batch):
    """Events `(operation, seconds)` of some steps of the joint phase."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    model = josrc_step.compiled_model("auto")
    for variable, value in (
        (model.tau_clean, 0.75),
        (model.joint, 1.0),
        (model.teacher_decay, 0.99),
    ):
        variable.assign(value)
    data = next(iter(josrc_step.random_dataset(batch)))
    for _ in range(2):
        model.train_on_batch(*data)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(steps):
                model.train_on_batch(*data)
        (path,) = glob.glob(f"{folder}/plugins/profile/*/*.xplane.pb")
        space = xplane_pb2.XSpace()
        space.ParseFromString(pathlib.Path(path).read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            if line.name.startswith("tf_Compute"):
                for event in line.events:
                    name = plane.event_metadata[event.metadata_id].name
                    yield name, event.duration_ps / 1e12


def kind_of(operation):
    """The kind of an operation `path/name:Type`; None for one that holds others."""
    _, colon, of_type = operation.split("#")[0].rpartition(":")
    if not colon or operation.startswith("ExecutorState"):
        return None
    of_type = of_type.removeprefix("_").removeprefix("Mkl").removeprefix("Native")
    for kind, starts in KINDS.items():
        if of_type.startswith(starts):
            return kind
    return "Adam and teacher" if of_type.startswith("Assign") else "all else"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    totals: collections.Counter = collections.Counter()
    for operation, seconds in profile(flags.steps, flags.batch):
        kind = kind_of(operation)
        # The wrappers of a function and of the teacher's branch hold other operations.
        if kind is not None and not operation.endswith((":If", ":_If")):
            totals[kind] += seconds
    whole = sum(totals.values())
    from josrc_keras.runs import summary

    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "seconds_of_threads_a_step": whole / flags.steps,
        "shares": {kind: value / whole for kind, value in totals.most_common()},
    }
    print("| operations | share of the time |")
    print("|---|---|")
    for kind, share in found["shares"].items():
        print(f"| {kind} | {share:.1%} |")
    if flags.output:
        pathlib.Path(flags.output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
