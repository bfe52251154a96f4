"""Mixup: images and targets blended with those of another sample.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. A network that
has to predict blends can't learn single labels by heart. Unlike `keras.layers.MixUp`,
each image keeps the larger share, so that what training reports of it is about its own
label, and several replicas blend the same images as a single device.
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

    With `most=1` this is the larger of the two shares of mixup with its alpha = 1.

    Args:
        count: N, the number of one replica's images.
        most: Twice the largest share of another image, in [0, 1].
        seed: A `keras.random.SeedGenerator`.
    """

    def uniform(rows):
        return keras.random.uniform((rows,), 1.0 - most / 2, 1.0, seed=seed)

    return replicas.own_rows(uniform, count)


def draw_others(labels, num_classes, seed):
    """A class other than the given one for each sample: `(N,)` int32, at random.

    Args:
        labels: `(N,)` integers in `[0, C)`.
        num_classes: C, at least 2.
        seed: A `keras.random.SeedGenerator`.
    """

    def uniform(rows):
        return keras.random.randint((rows,), 1, num_classes, seed=seed)

    further = replicas.own_rows(uniform, ops.shape(labels)[0])
    return (ops.cast(labels, "int32") + ops.cast(further, "int32")) % num_classes


def alone_if_ignored(share, sample_weight):
    """`share`, but 1 where the next sample's weight is 0: it must not be learnt.

    Args:
        share: `(N,)` how much of each image to keep.
        sample_weight: `(N,)`, or None for equal weights.

    Returns:
        `(N,)`.
    """
    if sample_weight is None:
        return share
    return ops.where(replicas.following_rows(sample_weight) == 0, 1.0, share)


def blend(values, share):
    """Blends each sample's values with those of the next sample.

    The last sample of the whole batch is blended with the first one, whatever the
    number of replicas. Partners are random, since batches are shuffled.

    Args:
        values: `(N, ...)`, cast to float32.
        share: `(N,)` how much of each sample to keep, in [0, 1].

    Returns:
        `(N, ...)` float32.
    """
    values = ops.cast(values, "float32")
    share = ops.reshape(share, (-1,) + (1,) * (len(values.shape) - 1))
    return share * values + (1.0 - share) * replicas.following_rows(values)
