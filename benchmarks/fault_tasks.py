"""The tasks of `faults.py`: what each one changes, and when that is whole."""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import types
import zipfile
from collections.abc import Callable

NAMES = ("move", "undo", "copy", "records", "onnx", "saved_model", "train")
HEAVY = ("josrc_keras.cleaning.moves", "josrc_keras.runs.train", "pandas", "PIL.Image")
HEAVY += ("josrc_keras.export.run_exports", "matplotlib.pyplot", "onnxruntime", "h5py")
SIZE = "--config.data.image_size=8"
PHOTOS = "--config.data.dir=FIRST/photos"
QUICK = [
    "--config=image_folder:paper",
    "--progress=none",
    PHOTOS,
    SIZE,
    "--config.network.name=digits_cnn",
    "--config.network.head=linear",
    "--config.epochs=2",
    "--config.batch_size=8",
    "--config.checkpoint_every=1",
    "--config.deterministic=always",
    "--config.augmentation.padding=1",
    "--config.threshold.warmup_epochs=1",
    "--config.learning_rate_decay.start_epoch=1",
]
AUDIT = ["audit", "--run=FIRST/run", "--output=SECOND/audit"]
LONG = "n" * 246 + ".png"  # A name of 250 bytes.
ONNX = "0/model.onnx"
TURN = {"a": "b", "b": "=c", "=c": "a"}


def import_all():
    """Imports what the tasks need, so that their forks need not."""
    for name in HEAVY:
        importlib.import_module(name)


@dataclasses.dataclass
class Task:
    """What a command does to two folders.

    Attributes:
        name: Its name in the table.
        command: A command line. `FIRST` and `SECOND` are the folders.
        make: A function of both folders that fills them.
        again: The command lines that are to mend all.
        state: A function of both folders: what is there.
        is_kept: A function of the states before, now, and of the goal: whether nothing
            is lost.
        is_whole: A function of the states of the goal, now, and before.
    """

    name: str
    command: list
    make: Callable
    again: list
    state: Callable
    is_kept: Callable
    is_whole: Callable


def placed(command, first, second):
    """A command line with the paths of both folders."""
    names = {"FIRST": str(first), "SECOND": str(second)}
    return [re.sub("FIRST|SECOND", lambda m: names[m[0]], part) for part in command]


def tree(*folders):
    """What is in some folders: a link's end, or a file's checksum, by path."""
    found: dict = {}
    for number, folder in enumerate(folders):
        for path in sorted(folder.rglob("*")):
            name = f"{number}/{path.relative_to(folder)}"
            if path.is_symlink():
                found[name] = f"link to {os.readlink(path)}"
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[name] = "folder"
    return found


def photos_and_audit(first, second):
    """Without the lists of moves that were undone."""
    found = tree(first / "photos", second)
    return {k: v for k, v in found.items() if "moved-back" not in k}


def has_all(before, now, goal):
    """Whether every file and link is still somewhere, whatever its name and end."""
    files = {text for text in before.values() if len(text) == 64}
    return files <= set(now.values())


def is_equal(goal, now, before):
    return now == goal


def fill_photos(first, second, state=""):
    """Photos that are no images, links among them, and an audit of them."""
    import pandas

    from josrc_keras.cleaning import plan

    rows = []
    noise, outside = "in_distribution_noise", "out_of_distribution"
    for name in TURN:
        inside = ["1.png", "2.png", "deep/er/1.png", LONG, "-3.png", "4.png"]
        for number, path in enumerate(inside):
            place = first / "photos" / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{name}/{path}" * 99)
            verdict = (noise, outside, noise, "clean")[number % 4]
            rows.append((f"{name}/{path}", name, verdict, TURN[name]))
    for name, end in {"link.png": "1.png", "stays.png": "../b/2.png"}.items():
        (first / "photos/a" / name).symlink_to(end)
        verdict = "clean" if name == "stays.png" else noise
        rows.append((f"a/{name}", "a", verdict, "b"))
    (second / "audit").mkdir()
    (first / "run").mkdir()
    table = pandas.DataFrame(rows, columns=plan.TEXTS)
    table["label_score"] = 0.1
    plan.write_table(table, second / "audit/audit.csv")
    data = {"name": "image_folder", "dir": str(first / "photos")}
    config = json.dumps({"data": data | {"validation_dir": None}})
    (first / "run/config.json").write_text(config)


def moving(name, run, folder):
    """A move, its undo, or a cleaned copy."""
    move, copied = ([*AUDIT, f"--apply={each}", "--all"] for each in ("move", "copy"))
    undo = [*AUDIT, "--apply=undo"]

    def make(first, second):
        fill_photos(first, second)
        log = folder / "log-of-move"
        if name == "undo" and run(placed(move, first, second), log):
            raise RuntimeError(log.read_text())

    command, again = {
        "move": (move, [undo, move]),
        "undo": (undo, [undo]),
        "copy": (copied, [copied]),
    }[name]
    return Task(name, command, make, again, photos_and_audit, has_all, is_equal)


def fill_images(first, second):
    """A few images of two classes."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (first / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 255, (8, 8, 3)).astype("uint8")
            path = first / "photos" / name / f"{number}.png"
            Image.fromarray(pixels).save(path)
            os.utime(path, (0, 0))  # The decoded images have it in their index.


def records(name, run, folder):
    command = ["records", "--config=image_folder", PHOTOS, SIZE]
    command.append("--output=SECOND/records")

    def state(first, second):
        return tree(first, second)

    return Task(name, command, fill_images, [command], state, has_all, is_equal)


def training(name, run, folder):
    """Two epochs, whose history and weights must be those of the whole run.

    Their steps run without a graph, which takes a third of the time. Files are written
    by the same code either way.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    command = ["train", *QUICK, "--workdir=SECOND/run"]

    def state(first, second):
        found = tree(first, second)
        run = second / "run"
        with contextlib.suppress(OSError, KeyError, zipfile.BadZipFile):
            found["weights"] = weights_of(run / "model.keras")
        skipped = (
            "tensorboard",
            "model.keras",
            "summary.json",
            "checkpoint/epoch",
            "plots",
        )
        return {k: v for k, v in found.items() if not any(s in k for s in skipped)} | {
            path.name: "whole" for path in (run / "plots").glob("*.png")
        }

    return Task(name, command, fill_images, [command], state, has_all, is_equal)


def weights_of(path):
    """A checksum of the weights in a `.keras` file."""
    import h5py

    found = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))

        def add(name, item):
            if isinstance(item, h5py.Dataset):
                found.update(name.encode() + item[()].tobytes())

        stored.visititems(add)
    return found.hexdigest()


def what_onnx_computes(path):
    """A checksum of what an ONNX file makes of a grey image."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    image = {
        each.name: np.full((1, 8, 8, 3), 9, "float32") for each in session.get_inputs()
    }
    return str([np.round(array, 4).tolist() for array in session.run(None, image)])


def exporting(name, run, folder):
    """An export over an earlier one, which has another signature."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(False)
    command = ["export", "--run=SECOND/run", f"--format={name}", "--overwrite"]
    place = {"onnx": "model.onnx"}.get(name, name)

    @functools.cache
    def template():
        """A run with an export, made once."""
        first, second = folder / "template/first", folder / "template/second"
        for each in (first, second):
            each.mkdir(parents=True)
        fill_images(first, second)
        lines = [["train", *QUICK, "--workdir=SECOND/run"], [*command, "--top_k=1"]]
        for line in lines:
            if run(placed(line, first, second), folder / "log-of-template"):
                raise RuntimeError((folder / "log-of-template").read_text())
        return first, second

    def make(first, second):
        for source, target in zip(template(), (first, second), strict=True):
            shutil.copytree(source, target, dirs_exist_ok=True)
        config = second / "run/config.json"
        text = config.read_text().replace(str(template()[0]), str(first))
        config.write_text(text)

    def state(first, second):
        # Two exports of a network differ in bytes, but not in what they compute.
        export, old = second / "run/export", template()[1] / "run/export"
        before, now = tree(old), tree(export)
        changing = ("fingerprint.pb", "saved_model.pb", "exports.json", "README.md")
        found = {
            k: "new" if k.endswith(changing) and v != before.get(k) else v
            for k, v in now.items()
        }
        if place == "model.onnx" and now.get(ONNX) not in (None, before.get(ONNX)):
            found[ONNX] = what_onnx_computes(export / place)
        return found

    def is_kept(before, now, goal):
        """The artefact at its place is the old one or the new one, never a part."""

        def part(state):
            return {k: v for k, v in state.items() if k.startswith(f"0/{place}")}

        return part(now) in (part(before), part(goal))

    return Task(name, command, make, [command], state, is_kept, is_equal)


def prove_here():
    """Lets an export's proof run in this process, which is a fork already."""
    from josrc_keras.export import proof, served_process

    def run(command, **options):
        served_process.main(command[3:])
        return types.SimpleNamespace(returncode=0, stderr="")

    proof.subprocess = types.SimpleNamespace(run=run)


MAKERS = {
    "move": moving,
    "undo": moving,
    "copy": moving,
    "records": records,
    "onnx": exporting,
    "saved_model": exporting,
    "train": training,
}


def tasks(run):
    """A dict from a name to a function from a folder to a `Task`.

    Args:
        run: Runs a command line, of a list and of the path of a log.
    """
    prove_here()
    return {name: functools.partial(MAKERS[name], name, run) for name in NAMES}
