"""The arithmetic of a training, and how many epochs a budget of it pays for.

One PFLOP is 1e15 floating-point operations. Those of the networks are counted, from
their layers (`networks.arithmetic`), a backward pass as two forward ones. Not counted
are evaluation, which trains nothing, and what is small beside the networks: views,
losses and the optimizer.
"""

import keras
import ml_collections

from josrc_keras.networks import arithmetic
from josrc_keras.runs.build_model import make_model

PETA = 1e15
# Parts of a configuration that decide what a sample costs, in operations.
READ = ("method", "network", "augmentation", "adaptive", "model", "mlnt")
_COSTS: dict = {}  # What is known so far, since making a model takes a second.


def petaflop(model: keras.Model, samples: int) -> float | None:
    """The arithmetic of training a model of this package on some samples.

    Args:
        model: A model whose `passes()` says what a sample costs.
        samples: Number of samples, counted anew in each epoch.

    Returns:
        PFLOP; None if the network has layers that are not counted.
    """
    try:
        of_pass = arithmetic.flops(model.student)
    except ValueError:
        return None
    return of_pass * model.passes() * samples / PETA


def epochs_for(
    budget: float,
    config: ml_collections.ConfigDict,
    num_classes: int,
    images: int,
    image_shape: tuple[int, int, int],
) -> int:
    """The number of epochs whose arithmetic is closest to a budget, at least 1.

    Args:
        budget: PFLOP, positive.
        config: A configuration, whose `epochs` is not read.
        num_classes: Number of in-distribution classes.
        images: Number of training images.
        image_shape: `(H, W, channels)`.

    Raises:
        ValueError: If `budget` is not positive, or the network is not counted.
    """
    if not budget > 0:
        raise ValueError(f"Expected a budget above 0 PFLOP. Received: {budget}.")
    samples = images // config.batch_size * config.batch_size
    key = num_classes, image_shape, *(str(config[name]) for name in READ)
    if key not in _COSTS:
        model = make_model(config, num_classes, 1, image_shape, samples)
        _COSTS[key] = arithmetic.flops(model.student) * model.passes()
    return max(round(budget * PETA / (_COSTS[key] * samples)), 1)
