"""Mixup: images and targets blended with those of another sample.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. A network that
has to predict blends can't learn single labels by heart. Unlike `keras.layers.MixUp`,
each image keeps the larger share, so that what training reports of it is about its own
label, and replicas blend what one device would.
"""

import keras
from keras import ops

from josrc_keras.devices import replicas


def check_mixup(most):
    """Returns `most`; raises a `ValueError` unless it is in [0, 1]."""
    if not 0 <= most <= 1:
        raise ValueError(
            f"`mixup` must be in [0, 1]. Received: mixup={most}. 0 blends nothing; "
            "with 1 up to half of an image is another's."
        )
    return most


def draw(count, most, seed):
    """How much of each image to keep: `(N,)` float32, uniform in [1 - most / 2, 1].

    With `most=1` that is the larger share of mixup with its alpha = 1.

    Args:
        count: N, of one replica.
        most: Twice the largest share of another image, in [0, 1].
        seed: A `keras.random.SeedGenerator`.
    """

    def uniform(rows):
        return keras.random.uniform((rows,), 1.0 - most / 2, 1.0, seed=seed)

    return replicas.own_rows(uniform, count)


def alone_if_ignored(share, sample_weight):
    """`share`, but 1 where the next sample has no weight, so that it teaches nothing.

    Args:
        share: `(N,)` how much to keep.
        sample_weight: `(N,)`, or None for equal weights.
    """
    if sample_weight is None:
        return share
    return ops.where(replicas.following_rows(sample_weight) == 0, 1.0, share)


def blend(values, share):
    """Each sample's values, and of the next sample's what is left.

    The last sample's partner is the first, of the whole batch whatever the number of
    replicas. Batches are shuffled: partners are random.

    Args:
        values: `(N, ...)`, cast to float32.
        share: `(N,)` how much to keep.

    Returns:
        `(N, ...)` float32.
    """
    values = ops.cast(values, "float32")
    share = ops.reshape(share, (-1,) + (1,) * (len(values.shape) - 1))
    return share * values + (1.0 - share) * replicas.following_rows(values)
