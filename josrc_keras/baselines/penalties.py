"""What a whole batch's predictions are penalised for, and what one prediction is."""

import numpy as np
from keras import ops

from josrc_keras.devices import replicas

LEAST = 1e-8  # The least of a mean probability, so that its logarithm is finite.


def prior_penalty(logits, prior, sample_weight=None):
    """How far the mean prediction of a batch is from a prior.

    It is `KL(prior || mean)` (Tanaka et al., CVPR 2018, equation 11; Arazo et al., ICML
    2019, section 3.3). Without it all samples may end in one class.

    Args:
        logits: `(N, C)` of one replica; the mean is that of all replicas.
        prior: `(C,)` not negative, sums to 1.
        sample_weight: `(N,)` weights in the mean, or None.

    Returns:
        A scalar in nats, at least 0 up to rounding. It is finite, also for a class that
        is never predicted.
    """
    probs = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    weights = ops.ones_like(probs[:, 0])
    if sample_weight is not None:
        weights = ops.cast(sample_weight, "float32")
    total = replicas.global_sum(ops.sum(weights[:, None] * probs, axis=0))
    count = replicas.global_sum(ops.sum(weights))
    mean = ops.maximum(total / ops.maximum(count, LEAST), LEAST)
    prior = np.asarray(prior, "float32")
    constant = float(np.sum(prior * np.log(np.maximum(prior, 1e-30))))
    return ops.where(count > 0, constant - ops.sum(prior * ops.log(mean)), 0.0)


def entropy(logits):
    """The entropy of each prediction.

    Args:
        logits: `(N, C)`.

    Returns:
        `(N,)` float32 in nats, in [0, log C].
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(ops.exp(log_probs) * log_probs, axis=-1)


def check_prior(prior, num_classes):
    """Returns a prior as a list of C floats; None is the uniform one.

    Raises:
        ValueError: If it is no distribution over the classes.
    """
    if prior is None:
        return [1.0 / num_classes] * num_classes
    values = np.asarray(prior, "float64")
    fits = values.shape == (num_classes,) and (values >= 0).all()
    if not fits or abs(values.sum() - 1) > 1e-4:
        raise ValueError(
            f"Expected a prior of {num_classes} shares that sum to 1. Received: "
            f"{values.tolist()}. Pass the share of each class, or None."
        )
    return values.tolist()
