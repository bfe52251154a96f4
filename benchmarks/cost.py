"""Measures what Jo-SRC's own mathematics costs, by number of classes.

    python benchmarks/cost.py --output=results/scale/cost.json

For each number of classes three things take turns: a whole training step (batch 128 of
random 32x32 images, `cnn7` with the MLP head, joint phase), and alone the two parts
that Jo-SRC adds to two networks and an optimizer. The first is the teacher's softmax,
selection, re-labelling and the losses with their gradient into the logits. The second
is the teacher's update. All run on TensorFlow.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from josrc_keras import JoSRC, losses, networks, selection, views
from josrc_keras import labels as label_distributions
from josrc_keras.runs import summary


def functions(classes, batch):
    """The step and its parts, each a function without arguments."""
    model = JoSRC(
        networks.cnn7(classes), classes, augmentation=views.crop_and_flip(padding=4)
    )
    model.compile(keras.optimizers.Adam(1e-3))
    for variable, value in ((model.tau_clean, 0.75), (model.joint, 1.0)):
        variable.assign(value)
    model.teacher_decay.assign(0.99)
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch, 32, 32, 3), dtype="uint8"))
    labels = tf.constant(random.integers(0, classes, batch))
    shape = (3, batch, classes)
    logits_a, logits_b, of_teacher = tf.constant(random.normal(0, 1, shape), "float32")

    @tf.function
    def mathematics():
        with tf.GradientTape() as tape:
            tape.watch([logits_a, logits_b])
            smooth = label_distributions.smooth_labels(labels, classes, model.smoothing)
            selected = selection.select(
                selection.clean_likelihood(tf.nn.softmax(logits_a), smooth),
                selection.ood_likelihood(logits_a, logits_b),
                tau_clean=model.tau_clean,
            )
            targets = label_distributions.reassign(
                selected, smooth, tf.nn.softmax(of_teacher), model.scale
            )
            joint = losses.joint_loss(
                losses.classification_loss(logits_a, logits_b, targets),
                losses.consistency_loss(
                    logits_a, logits_b, selected.out_of_distribution
                ),
                model.alpha * model.joint,
            )
            included = tf.logical_or(
                selected.clean, selection.union(selected, selection.UNCLEAN)
            )
            loss = model.mean_over(joint, included, None)
        return tape.gradient(loss, [logits_a, logits_b])

    @tf.function
    def update():
        model.update_teacher()
        return tf.constant(0)

    @tf.function
    def step():
        return model.train_step((images, labels))

    return {"step": step, "mathematics": mathematics, "teacher's update": update}


def seconds(function):
    start = time.perf_counter()
    tf.nest.map_structure(lambda part: part.numpy(), function())
    return time.perf_counter() - start


def measure(classes, batch, rounds):
    """Median seconds of each part."""
    parts = functions(classes, batch)
    for function in 2 * list(parts.values()):
        function()
    found: dict = {name: [] for name in parts}
    for _ in range(rounds):
        for name, function in parts.items():
            found[name].append(seconds(function))
    return {name: statistics.median(times) for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", default="10,100,1000,14000")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "rows": [],
    }
    print("| classes | step, ms | mathematics, ms | teacher's update, ms | share |")
    print("|---|---|---|---|---|")
    for classes in map(int, flags.classes.split(",")):
        row = measure(classes, flags.batch, flags.rounds)
        share = (row["mathematics"] + row["teacher's update"]) / row["step"]
        found["rows"].append({"classes": classes, "share": share, **row})
        cells = " | ".join(f"{1000 * value:.1f}" for value in row.values())
        print(f"| {classes} | {cells} | {share:.1%} |", flush=True)
    if flags.output:
        pathlib.Path(flags.output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
