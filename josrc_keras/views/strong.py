"""Strong views of an image in tf.data: crop, flip and RandAugment.

Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search
Space", 2020. The operations are keras-cv's where it is installed, else Keras's own.
With either, every draw is a function of a seed and no operation has a state. So cores
work side by side, and a resumed run sees the views of an uninterrupted one.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any, Literal

import keras
import tensorflow as tf
from absl import logging

from josrc_keras import _checks

CORES = os.cpu_count() or 1
LIBRARIES = ("auto", "keras_cv", "keras")


def rand_augment(
    num_ops: int = 2,
    magnitude: float = 0.5,
    *,
    size: int | None = None,
    flip: bool = True,
    padding: int = 0,
    library: Literal["auto", "keras_cv", "keras"] = "auto",
) -> Callable[[Any, Any], Any]:
    """Makes the function that draws one strong view of one image.

    Each of `num_ops` operations is drawn from those of the library and the identity,
    all equally likely.

    - keras-cv has the operations of its `RandAugment`, with its spread of magnitudes:
      contrast, equalising, solarising, colour, brightness, shear and translation.
    - Keras has the 14 operations of the RandAugment paper (the identity counts), which
      include rotation, posterising and sharpness. Strengths are drawn evenly up to the
      paper's largest times `magnitude`. Colour only fades, and brightness is added.

    Keras's operations are milder. keras-cv shears three times as far and moves an image
    by up to `magnitude` of its width or height, instead of 0.3 times that. At a
    magnitude of 1 it leaves some images black or white. `keras.layers.RandAugment` is
    not used: it draws one list of operations for a whole batch, computes all of them,
    and rotates by up to 180 degrees.

    Args:
        num_ops: Number of operations per image, at least 1.
        magnitude: Strength of the operations, in [0, 1].
        size: Height and width of the random crop in pixels; None takes the image's
            own.
        flip: Whether to mirror an image left to right with probability 1/2.
        padding: Zero pixels added on every side before the crop.
        library: `"keras_cv"`, `"keras"`, or `"auto"`: keras-cv if it is installed.

    Returns:
        A function `(image, seed) -> view`. `image` is `(H, W, 3)` uint8 of known shape,
        and `seed` is `(2,)` integers. The view is uint8 of shape `(size, size, 3)`, or
        of the image's shape. The same seed gives the same view.

    Raises:
        ValueError: If an argument is out of range. The function raises it if the image
            is not as described, or smaller than the crop.
        ImportError: If `library="keras_cv"` is not installed.
    """
    _checks.check_choice("library", library, LIBRARIES)
    if num_ops < 1 or not 0 <= magnitude <= 1:
        raise ValueError(
            "Expected `num_ops` of at least 1 and `magnitude` in [0, 1]. Received: "
            f"num_ops={num_ops}, magnitude={magnitude}."
        )
    if padding < 0 or (size is not None and size < 1):
        raise ValueError(
            "Expected `padding` of at least 0 pixels, and `size` of at least 1 or "
            f"None. Received: padding={padding}, size={size}."
        )
    if library == "auto":
        installed = importlib.util.find_spec("keras_cv") is not None
        library = "keras_cv" if installed else "keras"
        logging.info("Strong views are of library=%r.", library)
    make = {"keras_cv": _operations_of_keras_cv, "keras": _operations_of_keras}
    operations = [lambda images, seed: images, *make[library](magnitude)]

    @tf.function  # It is traced once, for all operations of both views.
    def one_of_them(images, which, how):
        drawn = tf.random.stateless_uniform((), which, 0, len(operations), "int32")
        branches = [functools.partial(each, images, how) for each in operations]
        return tf.ensure_shape(tf.switch_case(drawn, branches), images.shape)

    def augment(image, seed):
        shape = _cropped_shape(image, size, padding)
        seeds = tf.unstack(
            tf.random.experimental.stateless_split(seed, 2 + 2 * num_ops)
        )
        if padding:
            image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
        image = tf.image.stateless_random_crop(image, shape, seeds[0])
        if flip:
            image = tf.image.stateless_random_flip_left_right(image, seeds[1])
        images = tf.cast(image[None], "float32")
        for which, how in zip(seeds[2::2], seeds[3::2], strict=True):
            images = one_of_them(images, which, how)
        return tf.saturate_cast(tf.round(images[0]), "uint8")

    return augment


def views_of(
    dataset: tf.data.Dataset,
    augment: Callable[[Any, Any], Any],
    *,
    seed: int,
    start: int = 0,
    two: bool = True,
) -> tf.data.Dataset:
    """Draws strong views of a dataset's images, on all cores, in the same order.

    The views are a function of `seed`, of a batch's number and of the row in it.

    Args:
        dataset: A `tf.data.Dataset` of batches `(images, labels)` of known size; see
            `data.batches.train_batches`.
        augment: A function `(image, seed) -> view`; see `rand_augment`.
        seed: Seed of the draws, an integer.
        start: Number of the first batch, which is above 0 where a run resumes.
        two: Whether to draw two views. Otherwise both are the same draw, for a method
            that trains on one view.

    Returns:
        A `tf.data.Dataset` of `({"view_a", "view_b"}, labels)`.

    Raises:
        ValueError: If the size of the batches is not known, or `augment` raises it.
    """
    size = dataset.element_spec[0].shape[0]
    if size is None:
        raise ValueError(
            "Expected batches of a known size. Received: images of shape "
            f"{dataset.element_spec[0].shape}. Batch with `drop_remainder=True`."
        )

    def with_seeds(number, batch):
        base = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, 0], "int64"), number
        )
        return batch, tf.random.experimental.stateless_split(base, size)

    def draw(sample, seed):
        image, label = sample
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        view_a = augment(image, seeds[0])
        view_b = augment(image, seeds[1]) if two else view_a
        return {"view_a": view_a, "view_b": view_b}, label

    samples = dataset.enumerate(start).map(with_seeds).unbatch()
    samples = samples.map(draw, num_parallel_calls=CORES, deterministic=True)
    return samples.batch(size, drop_remainder=True).prefetch(2)


def _cropped_shape(image, size, padding):
    """The shape of a view of the image."""
    shape = tuple(image.shape)
    if len(shape) != 3 or None in shape or shape[2] != 3 or image.dtype != tf.uint8:
        raise ValueError(
            "Expected an image of known shape (H, W, 3) in uint8: RandAugment changes "
            f"colours. Received: shape {shape}, dtype {image.dtype.name}. Decode "
            "images to RGB, or leave out strong views."
        )
    height, width, _ = shape
    if size is None:
        return shape
    if min(height, width) + 2 * padding < size:
        raise ValueError(
            f"Expected images of at least {size}x{size} pixels with their padding, the "
            f"size of the crop. Received: {height}x{width}, padding={padding}. Give "
            "larger images, or a smaller `size`."
        )
    return size, size, 3


class _Seeds(keras.random.SeedGenerator):
    """A sequence of seeds that follow from the first one, without a variable.

    Keras's layers draw with `next`, keras-cv's with `uniform`.
    """

    def __init__(self):
        self.seed = None

    def next(self, ordered=True):
        self.seed = tf.random.experimental.stateless_fold_in(self.seed, 1)
        return self.seed

    def uniform(self, shape, minval=0, maxval=None, dtype="float32"):
        return tf.random.stateless_uniform(shape, self.next(), minval, maxval, dtype)


def _operations_of_keras(magnitude):
    """The operations of the RandAugment paper, functions `(images, seed) -> images`."""
    layers, edges = keras.layers, {"fill_mode": "constant", "fill_value": 128.0}
    half = 0.45 * magnitude
    made = [
        layers.AutoContrast(dtype="float32"),
        layers.Equalization(dtype="float32"),
        layers.RandomRotation(magnitude * 30 / 360, dtype="float32", **edges),
        layers.RandomPosterization((8 - round(4 * magnitude), 8), dtype="float32"),
        layers.RandomColorDegeneration(2 * half, dtype="float32"),
        layers.RandomContrast(2 * half, dtype="float32"),
        layers.RandomBrightness(half, dtype="float32"),
        layers.RandomSharpness((0.5 - half, 0.5 + half), dtype="float32"),
        layers.RandomShear(x_factor=0.3 * magnitude, dtype="float32", **edges),
        layers.RandomShear(y_factor=0.3 * magnitude, dtype="float32", **edges),
        layers.RandomTranslation(0.3 * magnitude, 0.0, dtype="float32", **edges),
        layers.RandomTranslation(0.0, 0.3 * magnitude, dtype="float32", **edges),
    ]

    def solarise(images, seed):
        # `keras.layers.Solarization` takes the lower end of its thresholds as pixels,
        # the upper one as a share of 255 (3.15).
        lowest = 255.0 * (1 - magnitude)
        threshold = tf.random.stateless_uniform((), seed, lowest, 255.0)
        return tf.where(images < threshold, images, 255.0 - images)

    return [solarise, *(functools.partial(_call_keras, layer) for layer in made)]


def _call_keras(layer, images, seed):
    seeds = _Seeds()
    seeds.seed = seed
    layer.backend.set_backend("tensorflow")  # tf.data needs it where Keras is on JAX.
    try:
        drawn = layer.get_random_transformation(images, training=True, seed=seeds)
        return layer.transform_images(images, drawn, training=True)
    finally:
        layer.backend.reset()


def _operations_of_keras_cv(magnitude):
    """The operations of keras-cv's `RandAugment`, functions `(images, seed) -> images`.

    They are made without a state.
    """
    keras_cv = _checks.imported(
        "keras_cv", "Strong views of library='keras_cv' need keras-cv", "keras-cv"
    )
    from tensorflow.python.ops import stateful_random_ops

    seeds = _Seeds()
    # keras-cv's layers draw from the global or from their own generator, with a state.
    before = stateful_random_ops.global_generator
    tf.random.set_global_generator(seeds)
    try:
        layers = keras_cv.layers.RandAugment.get_standard_policy(
            (0, 255), magnitude, magnitude_stddev=0.15
        )
    finally:
        tf.random.set_global_generator(before)
    for layer in layers:
        for name, value in list(vars(layer).items()):
            if isinstance(value, keras_cv.core.FactorSampler):
                setattr(layer, name, _stateless(value, seeds))

    def call(layer, images, seed):
        seeds.seed = seed
        return layer(images)

    return [functools.partial(call, layer) for layer in layers]


def _stateless(sampler, seeds):
    """Makes the draws of a keras-cv sampler follow from seeds."""

    def sample(shape=(), dtype="float32"):
        if hasattr(sampler, "lower"):
            return seeds.uniform(shape, sampler.lower, sampler.upper, dtype)
        if hasattr(sampler, "mean"):
            drawn = tf.random.stateless_normal(
                shape, seeds.next(), sampler.mean, sampler.stddev, dtype
            )
            return tf.clip_by_value(drawn, sampler.min_value, sampler.max_value)
        return sampler(shape, dtype)

    return sample
