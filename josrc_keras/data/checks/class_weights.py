"""Weights of classes as weights of samples, which go with every kind of labels."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from josrc_keras.data.checks import contract


def as_sample_weights(given: Mapping[str, Any]) -> dict:
    """The arguments of `fit` that take the place of `class_weight`.

    Keras takes class weights only beside labels that are no dict. Here each sample gets
    the weight of its given label, times its sample weight if it has one.

    Args:
        given: The arguments of `fit`.

    Returns:
        A dict of changed arguments: `class_weight` and `x` or `sample_weight`; an empty
        one without class weights.

    Raises:
        ValueError: If the weights are no dict from a class to a number, or the data is
            neither arrays nor a `tf.data.Dataset`.
    """
    weights = given.get("class_weight")
    if weights is None:
        return {}
    if not isinstance(weights, Mapping) or not all(
        isinstance(label, int | np.integer) and label >= 0 and weight >= 0
        for label, weight in weights.items()
    ):
        raise ValueError(
            "Expected `class_weight` as a dict from a class, an integer, to a weight "
            f"of at least 0. Received: {weights!r}."
        )
    table = np.ones(max(weights, default=0) + 2, "float32")
    for label, weight in weights.items():
        table[label] = weight
    if given.get("y") is not None:
        labels = given["y"]["label"] if isinstance(given["y"], dict) else given["y"]
        found = _weights_of(np.asarray(labels), table, np)
        before = given.get("sample_weight")
        found = found if before is None else found * np.asarray(before)
        return {"class_weight": None, "sample_weight": found}
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        if isinstance(given["x"], tf.data.Dataset):
            return {"class_weight": None, "x": _weighted(given["x"], table)}
    raise ValueError(
        "Expected arrays or a tf.data.Dataset beside `class_weight`. Received: a "
        f"{type(given['x']).__name__}. Let it yield (image, label, weight) instead."
    )


def _weights_of(labels, table, xp):
    if len(labels.shape) == 2:
        labels = xp.argmax(labels, axis=-1)
    last = table.shape[0] - 1  # Classes that have no weight count once.
    return xp.take(table, xp.clip(labels, 0, last), axis=0)


def _weighted(dataset, table):
    import tensorflow as tf

    xp = tf.experimental.numpy

    @tf.autograph.experimental.do_not_convert
    def weighted(*data):
        batch = contract.unpack(data)
        weight = _weights_of(batch.labels, xp.asarray(table), xp)
        if batch.sample_weight is not None:
            weight = weight * xp.asarray(batch.sample_weight, dtype="float32")
        return data[0], data[1], weight

    return dataset.map(weighted)
