"""Predictions of photos as a CSV file, written row by row, and photos in folders."""

import contextlib
import csv
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from josrc_keras import _files, _values
from josrc_keras.data.photos import decoding
from josrc_keras.prediction.classifiers import Classifier

BATCH = 32  # Photos that are predicted at a time.
SHARE = _values.TrustValues.tau_ood
NONE = "none_of_the_classes"  # The folder of photos that look like no class.


def write(
    photos: Sequence[tuple[str, Path]],
    classifier: Classifier,
    output: str | os.PathLike,
    *,
    top_k: int = 1,
    none_below: float | None = None,
    follow: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> dict[str, int]:
    """Predicts photos and writes a CSV file, whole or not at all.

    Photos are read and predicted a few at a time, and rows are written as they come.
    The columns are `path`, `class`, `probability` (of that class, in [0, 1]), with
    `top_k` above 1 also `class_2`, `probability_2` and so on, `none` (1 where the
    photo looks like none of the classes, else 0), and `error` (why a photo can't be
    read; the other cells of its row are empty then).

    A photo looks like none of the classes if its largest probability is below
    `none_below`. None takes half of that probability's mean over all photos, the share
    by which `TrustRule.tau_ood` calls a doubted image out-of-distribution. It holds
    where most photos are of the classes, and it is a weak sign: a network can be sure
    of what it has never seen.

    Args:
        photos: List of `(name, path)`.
        classifier: What predicts.
        output: Path of the CSV file.
        top_k: Number of classes a photo, at least 1 and at most C.
        none_below: Probability in [0, 1], or None.
        follow: What the batches of photos go through, with their number: a progress
            bar.

    Returns:
        A dict of `photos`, `none` and `broken`, numbers of photos.

    Raises:
        ValueError: If `top_k` or `none_below` is out of range.
        OSError: If the file can't be written.
    """
    names = np.array([_files.cell_of(name) for name in classifier.class_names])
    if not 1 <= top_k <= len(names):
        raise ValueError(
            f"Expected top_k between 1 and {len(names)}, the number of classes. "
            f"Received: top_k={top_k}."
        )
    if none_below is not None and not 0 <= none_below <= 1:
        raise ValueError(
            f"Expected none_below as a probability, in [0, 1]. Received: {none_below}."
        )
    output = Path(output).expanduser()
    output.parent.mkdir(parents=True, exist_ok=True)
    largest: list[float] = []
    with _files.folder_beside(output) as folder:
        rows, whole = Path(folder, "rows.csv"), Path(folder, output.name)
        with _writer(rows) as writer:
            for name, found in follow(_predicted(photos, classifier), len(photos)):
                cell = _files.cell_of(name)
                if isinstance(found, str):
                    writer.writerow([cell, *[""] * (2 * top_k), found])
                    continue
                order = np.argsort(-found, kind="stable")[:top_k]
                pairs = [(names[k], f"{found[k]:.4f}") for k in order]
                writer.writerow([cell, *(text for pair in pairs for text in pair), ""])
                largest.append(float(found[order[0]]))
        limit = none_below
        if limit is None:
            limit = SHARE * float(np.mean(largest)) if largest else 0.0
        none = _finish(rows, whole, top_k, np.asarray(largest) < limit)
        os.replace(whole, output)
    return {"photos": len(photos), "none": none, "broken": len(photos) - len(largest)}


def _predicted(photos, classifier):
    """Yields `(name, probabilities)`, or `(name, reason)` of a photo that is broken."""
    paths = [path for _, path in photos]
    images = decoding.decode_all(paths, max(classifier.size), classifier.decode)
    with contextlib.closing(images):
        for start in range(0, len(photos), BATCH):
            part = photos[start : start + BATCH]
            found = [next(images) for _ in part]
            whole = [image for image in found if not isinstance(image, str)]
            probs = iter(_in_full_batch(whole, classifier) if whole else ())
            for (name, _), image in zip(part, found, strict=True):
                yield name, image if isinstance(image, str) else next(probs)


def _in_full_batch(images, classifier):
    """Probabilities of images, in a batch of one size, so that nothing is compiled."""
    batch = np.zeros((BATCH, *images[0].shape), "uint8")
    batch[: len(images)] = images
    return np.asarray(classifier.probabilities(batch))[: len(images)]


@contextlib.contextmanager
def _writer(path):
    with open(path, "w", newline="", encoding="utf-8") as file:
        yield csv.writer(file, lineterminator="\n")


def _finish(rows, whole, top_k, is_none):
    """Adds header and column `none`; returns the number of photos of no class."""
    header = ["path", "class", "probability"]
    for rank in range(2, top_k + 1):
        header += [f"class_{rank}", f"probability_{rank}"]
    flags = iter(is_none)
    with _writer(whole) as writer, open(rows, newline="", encoding="utf-8") as file:
        writer.writerow([*header, "none", "error"])
        for *cells, error in csv.reader(file):
            writer.writerow([*cells, "" if error else int(next(flags)), error])
    return int(is_none.sum())


def sort_into(
    photos: Sequence[tuple[str, Path]],
    table: str | os.PathLike,
    folder: str | os.PathLike,
) -> int:
    """Copies photos into a folder for each predicted class.

    Photos of no class go to `none_of_the_classes`, and broken ones nowhere. A photo
    keeps its name, with the folders that it lies in.

    Args:
        photos: List of `(name, path)` that `write` was given.
        table: The CSV file that `write` wrote.
        folder: A folder that is not there, or is empty.

    Returns:
        The number of photos copied.

    Raises:
        ValueError: If the folder has something in it.
    """
    folder = Path(folder).expanduser()
    check_new(folder)
    count = 0
    with open(table, newline="", encoding="utf-8") as file:
        for (name, path), row in zip(photos, csv.DictReader(file), strict=True):
            if row["error"]:
                continue
            kind = NONE if row["none"] == "1" else _files.value_of(row["class"])
            inside = [p for p in Path(name).parts if p not in ("..", Path(name).anchor)]
            target = folder.joinpath(kind.replace("/", "_"), *inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            count += 1
    return count


def check_new(folder: Path) -> None:
    """Raises a `ValueError` if a folder has something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"Expected a new or empty folder to sort photos into. Received: {folder}, "
            "which has something in it. Choose another one."
        )
