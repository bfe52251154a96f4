"""How long a training on photos will take, said before it starts."""

import time

import keras
import ml_collections
from absl import logging

from josrc_keras import _checks
from josrc_keras.data.benchmark import Split
from josrc_keras.devices import accelerator, replicas
from josrc_keras.runs.build_data import steps_per_epoch

FURTHER = 1.2  # An allowance for views, the optimizer and the input.
PROPOSED = 600.0  # Seconds from which the log proposes what is cheaper.


def seconds_of_pass(model: keras.Model, images) -> float:
    """Seconds that the student takes to predict a batch, once it is compiled.

    Args:
        model: A model of this package.
        images: `(N, H, W, channels)` pixels in [0, 255].
    """
    model.student.predict_on_batch(images)  # This one compiles, too.
    start = time.perf_counter()
    model.student.predict_on_batch(images)
    return time.perf_counter() - start


def announce(
    model: keras.Model,
    train: Split,
    config: ml_collections.ConfigDict,
    initial_epoch: int = 0,
) -> float | None:
    """Logs how long training on a folder of photos will take, by one batch.

    On a CPU, where that is long, it proposes an audit without training.

    Args:
        model: The compiled model.
        train: The training split.
        config: The configuration, with all fields set.
        initial_epoch: First epoch, counted from 0.

    Returns:
        Seconds; None where the data are no folder of photos, or several devices or
        processes share the work.
    """
    alone = replicas.part_count() == 1 and replicas.is_chief()
    if config.data.name != "image_folder" or not alone:
        return None
    size = config.augmentation.size or train.images.shape[1]
    images = train.images[: config.batch_size, :size, :size]
    steps = steps_per_epoch(train, config) * (config.epochs - initial_epoch)
    of_pass = seconds_of_pass(model, images.astype("float32"))
    seconds = FURTHER * of_pass * model.passes() * steps
    logging.info(
        "Training %s (%s frozen) for %d epochs of %d photos of %d pixels will take "
        "about %s, by one batch.",
        config.network.name,
        config.network.frozen,
        config.epochs - initial_epoch,
        len(train),
        size,
        _checks.duration(seconds),
    )
    if seconds > PROPOSED and not accelerator.on_any():
        logging.info(
            "To find wrong labels alone, `josrc-audit --photos=%s --output=audit` "
            "trains a head and no network, which takes minutes.",
            config.data.dir,
        )
    return seconds
