"""Each sample's number in its dataset, by which training remembers it."""

import numpy as np

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
    if given.get("class_weight") is not None:
        raise ValueError(
            f"{type(recorder).__name__} numbers the labels, beside which Keras takes "
            "no `class_weight`. Received: both. Pass `sample_weight=` the weight of "
            "each sample's given label instead."
        )
    if not isinstance(labels, dict):
        labels = {"label": labels}
    count = len(labels["label"])
    if "index" not in labels:
        given["y"] = {**labels, "index": np.arange(count, dtype="int32")}
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
