"""What networks predict of every training sample, in the order of its rows."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from josrc_keras import losses
from josrc_keras.data.checks import contract


class Pass:
    """Evaluates a network on batches of images, compiled once.

    Args:
        network: A built `keras.Model` from images to outputs `(N, ...)`.
        prepare: Function from images to what the network sees of them in evaluation,
            such as a model's `seen_in_evaluation`.
    """

    def __init__(
        self,
        network: keras.Model,
        prepare: Callable[[Any], Any] = lambda images: images,
    ) -> None:
        self.network = network
        self._compiled = _compiled(network, prepare)

    def outputs(self, images: Any) -> Any:
        """`(N, ...)` float32 array: the network's outputs, as in evaluation."""
        return ops.convert_to_numpy(self._compiled(images)).astype("float32")


def _compiled(network, prepare):
    """A compiled function of images, which reads the network's weights of now."""
    if keras.backend.backend() == "jax":
        import jax

        @jax.jit
        def stateless(trainable, others, images):
            return network.stateless_call(
                trainable, others, prepare(images), training=False
            )[0]

        def function(images):
            groups = network.trainable_variables, network.non_trainable_variables
            return stateless(*([v.value for v in group] for group in groups), images)

        return function
    import tensorflow as tf

    return tf.function(
        lambda images: network(prepare(images), training=False), reduce_retracing=True
    )


def per_sample_losses(
    passes: Sequence[Pass], batches: Iterable, count: int
) -> np.ndarray:
    """The cross-entropy of each network on each training sample.

    Args:
        passes: The networks' `Pass`es, K of them.
        batches: Batches of `(images, labels)` in the order of the dataset.
        count: N, the number of samples.

    Returns:
        `(K, N)` float32 in nats.

    Raises:
        ValueError: If the batches have another number of samples.
    """
    found = []
    for data in batches:
        batch = contract.unpack(data)
        labels = ops.convert_to_numpy(batch.integer_labels())
        logits = [each.outputs(batch.images) for each in passes]
        found.append(
            [
                ops.convert_to_numpy(losses.cross_entropy(labels, each))
                for each in logits
            ]
        )
    check_count(sum(len(rows[0]) for rows in found), count)
    return np.concatenate([np.stack(rows) for rows in found], axis=1)


def log_probabilities(model: Any, batches: Any, count: int | None = None) -> np.ndarray:
    """What a model predicts of every sample, as in evaluation.

    Networks are in evaluation mode, and images are not augmented.

    Args:
        model: A model of this package.
        batches: Images `(N, H, W, channels)`, or a function without arguments that
            returns data for `model.predict` in the order of the rows, such as
            `lambda: data.batches.evaluation_batches(split, batch_size=100)`.
        count: N, for batches whose last one is filled up; None takes all rows.

    Returns:
        `(N, C)` float64 logarithms of probabilities, in nats, at most 0.

    Raises:
        ValueError: If there are fewer rows than `count`, or a prediction is NaN or
            infinite.
    """
    logits = model.predict(batches() if callable(batches) else batches, verbose=0)
    logits = np.asarray(logits, "float64")
    count = len(logits) if count is None else count
    if len(logits) < count:
        raise ValueError(
            f"Expected predictions of {count} samples. Received: {len(logits)}. Pass "
            "batches of the whole training set, in the order of its rows."
        )
    logits = logits[:count]
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ValueError(
            f"Expected finite predictions of {count} samples. Received: {broken} with "
            "NaN or infinity. Lower the learning rate."
        )
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def cross_entropies(log_probs: np.ndarray, labels: Any) -> np.ndarray:
    """The loss of every sample.

    Args:
        log_probs: `(N, C)` as `log_probabilities` returns them.
        labels: `(N,)` integers in `[0, C)`.

    Returns:
        `(N,)` float64 in nats, at least 0.
    """
    labels = np.asarray(labels)
    return -log_probs[np.arange(len(labels)), labels]


def check_count(seen: int, count: int) -> None:
    """Raises a `ValueError` unless as many samples were seen as there are."""
    if seen != count:
        raise ValueError(
            f"Expected each of the {count} training samples once, in the order of the "
            f"dataset. Received: batches of {seen} samples. Return them whole, the "
            "partial last batch included, each time."
        )
