"""Each sample's number in its dataset, by which training remembers it."""

import numpy as np
from absl import logging

from josrc_keras.data.checks import contract

# The fix for a tf.data.Dataset of single images and labels.
NUMBERING = (
    "dataset.enumerate().map(lambda i, pair: (pair[0], {'label': pair[1], 'index': i}))"
)
NOT_NUMBERED = (
    "{} needs each sample's number in the dataset. Received: {} without 'index'. Pass "
    "arrays to `fit`, or number the samples of a dataset before it is shuffled: "
    + NUMBERING.replace("{", "{{").replace("}", "}}")
)


WRONG = (
    "Received: {}. Expected: a number of its own for each sample, the same in every "
    "epoch. A dataset that was shuffled before it was numbered has other numbers each "
    "time: `keras.utils.image_dataset_from_directory` shuffles unless shuffle=False, "
    "and TensorFlow Datasets with shuffle_files=True. Number it first, with "
    "`josrc_keras.data.numbered(dataset)`, and shuffle it afterwards."
)
FEW = 0.9  # Share of the numbers that an epoch should bring; fewer are warned of.


def check_epoch(table, recorded, contradicted):
    """Checks that the samples of an epoch had numbers of their own.

    Args:
        table: `(count, F)` what `EpochFindings` holds: in the first column whether a
            number was seen.
        recorded: Number of samples that the epoch had.
        contradicted: Number of samples whose label was not that of an earlier sample
            with the same number.

    Raises:
        ValueError: If a number had several labels, or stood for two or more samples on
            average.
    """
    if contradicted:
        raise ValueError(
            WRONG.format(f"numbers that had two labels in one epoch, {contradicted}")
        )
    numbers = int((table[:, 0] > 0).sum())
    expected = min(recorded, len(table))
    if recorded > 1 and numbers <= expected / 2:
        raise ValueError(WRONG.format(f"{recorded} samples with {numbers} numbers"))
    if numbers < FEW * expected:
        logging.warning(
            "An epoch of %d samples had only %d different numbers. What is remembered "
            "of a sample may be another sample's. %s",
            recorded,
            numbers,
            "Repeat and shuffle the dataset in such a way that an epoch has each "
            "sample once.",
        )


def check_labels(before, now, seen):
    """Checks that each number has the label that it had in the epochs before.

    Args:
        before: `(N,)` labels, -1 where a number was never seen.
        now: `(N,)` labels of this epoch.
        seen: `(N,)` boolean: whether a number was seen in this epoch.

    Raises:
        ValueError: If labels differ.
    """
    other = seen & (before >= 0) & (before != now)
    if other.any():
        first = int(np.argmax(other))
        raise ValueError(
            WRONG.format(
                f"{int(other.sum())} of {len(before)} numbers with another label than "
                f"before, such as number {first}, label {int(before[first])} and now "
                f"{int(now[first])}"
            )
        )


def of_batch(batch):
    """`(N,)` integers: the numbers of a batch's samples in the dataset.

    Args:
        batch: A `contract.Batch`.

    Raises:
        ValueError: If the batch has no numbers.
    """
    if batch.index is None:
        raise ValueError(
            NOT_NUMBERED.format("A model that remembers samples", "labels")
        )
    return batch.index


def number_samples(given, callbacks):
    """Numbers the samples of arrays that `fit` got, if a callback records samples.

    Args:
        given: The arguments of `fit`; changed in place.
        callbacks: Its callbacks.

    Raises:
        ValueError: If the samples can't be numbered, or a dataset has no numbers.
    """
    listed = getattr(callbacks, "callbacks", callbacks)
    recorder = next((c for c in listed if hasattr(c, "records_samples")), None)
    if recorder is None:
        return
    recorder.numbered = None
    labels = given.get("y")
    if labels is None:
        spec = getattr(given["x"], "element_spec", None)
        if spec is not None and contract.unpack(spec).index is None:
            name = type(recorder).__name__
            raise ValueError(NOT_NUMBERED.format(name, "a dataset of labels"))
        return
    if not isinstance(labels, dict):
        labels = {"label": labels}
    count = len(labels["label"])
    if "index" not in labels:
        given["y"] = {**labels, "index": np.arange(count, dtype="int32")}
    else:
        index = np.asarray(labels["index"])
        if len(np.unique(index)) < len(index):
            raise ValueError(WRONG.format("numbers that repeat in the arrays"))
    _check_count(recorder, given, count)
    recorder.numbered = count


def _check_count(recorder, given, count):
    """Raises a `ValueError` if a callback is for fewer samples than are trained on."""
    trained = int(count * (1 - (given.get("validation_split") or 0)))
    if recorder.count is not None and recorder.count < trained:
        name = type(recorder).__name__
        raise ValueError(
            f"Expected {name}(count) of at least the number of samples, {trained}. "
            f"Received: {recorder.count}. Pass {trained}, or num_samples={trained} to "
            "the recipe that made it."
        )
