"""What DivideMix takes from MixMatch: guessed, refined and mixed targets.

The equations are those of Li, Socher and Hoi, "DivideMix", ICLR 2020, section 3.2, and
of Berthelot et al., "MixMatch", NeurIPS 2019.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

LEAST = 1e-12  # Probabilities are not taken to be smaller within a logarithm.


def sharpen(probs: Any, temperature: float) -> Any:
    """Makes distributions more certain: `p^(1/T)`, normalised.

    Args:
        probs: `(N, C)` distributions.
        temperature: T, above 0; 1 changes nothing.

    Returns:
        `(N, C)` float32, rows sum to 1.
    """
    logarithms = ops.log(ops.maximum(ops.cast(probs, "float32"), LEAST))
    return ops.softmax(logarithms / temperature, axis=-1)


def refine(labels: Any, probs: Any, clean_probability: Any, temperature: float) -> Any:
    """The target of a labelled sample: between its label and the prediction.

    `S_T(w e_y + (1 - w) p)`, DivideMix's equations 3 and 4 (co-refinement).

    Args:
        labels: `(N,)` integer given labels.
        probs: `(N, C)` the mean of the network's predictions on the views.
        clean_probability: `(N,)` w in [0, 1], 1 = clean.
        temperature: T, above 0.

    Returns:
        `(N, C)` float32, rows sum to 1.
    """
    trust = ops.cast(clean_probability, "float32")[:, None]
    given = ops.one_hot(ops.cast(labels, "int32"), probs.shape[-1], dtype="float32")
    return sharpen(trust * given + (1.0 - trust) * probs, temperature)


def guess(predictions: Sequence[Any], temperature: float) -> Any:
    """The target of an unlabelled sample: the sharpened mean of all predictions.

    DivideMix's equations 5 and 6 (co-guessing).

    Args:
        predictions: `(N, C)` probabilities of each network on each view.
        temperature: T, above 0.

    Returns:
        `(N, C)` float32, rows sum to 1.
    """
    return sharpen(sum(predictions) / len(predictions), temperature)


def draw_share(concentration: float, seed: Any) -> Any:
    """How much of each image a mixed one keeps: a scalar in [0.5, 1].

    `max(v, 1 - v)` with v of a Beta(a, a) distribution, so that a mixed sample remains
    closer to its own label.

    Args:
        concentration: a, above 0. Far below 1 hardly anything is mixed; far above 1 two
            images have nearly equal shares.
        seed: A `keras.random.SeedGenerator`.
    """
    drawn = keras.random.beta((), concentration, concentration, seed=seed)
    return ops.maximum(drawn, 1.0 - drawn)


def mix(values: Any, partners: Any, share: Any) -> Any:
    """Mixes each row with its partner: `share * v + (1 - share) * v[partners]`.

    Args:
        values: `(N, ...)`, cast to float32.
        partners: `(N,)` integers: each row's partner.
        share: `(N,)` how much of a row to keep, in [0, 1].

    Returns:
        `(N, ...)` float32.
    """
    values = ops.cast(values, "float32")
    share = ops.reshape(share, (-1,) + (1,) * (len(values.shape) - 1))
    return share * values + (1.0 - share) * ops.take(values, partners, axis=0)


def squared_error(logits: Any, targets: Any) -> Any:
    """The loss of unlabelled samples: squared error, the mean over classes.

    Args:
        logits: `(N, C)`.
        targets: `(N, C)` distributions.

    Returns:
        `(N,)` float32 in [0, 2 / C].
    """
    probs = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    return ops.mean(ops.square(probs - targets), axis=-1)


def uniform_penalty(mean_probs: Any) -> Any:
    """How far the mean prediction is from uniform: `KL(u || mean)`, DivideMix's eq. 11.

    Without it, a network may call all samples by one class.

    Args:
        mean_probs: `(C,)` the mean of predictions, sums to 1.

    Returns:
        A scalar, float32, in nats, in `[0, inf)`.
    """
    logarithms = ops.log(ops.maximum(mean_probs, LEAST))
    return -ops.mean(logarithms) - math.log(mean_probs.shape[-1])


def negative_entropy(logits: Any) -> Any:
    """DivideMix's confidence penalty: `sum_c p log p`.

    Args:
        logits: `(N, C)`.

    Returns:
        `(N,)` float32 in nats, in `[-log C, 0]`.
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return ops.sum(ops.exp(log_probs) * log_probs, axis=-1)
