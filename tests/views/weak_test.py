import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import views
from tests.support.crops import found, random_images


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_each_image_is_a_crop_of_its_own(padding, flip):
    images = random_images(64)
    layer = views.CropAndFlip(padding=padding, flip=flip, seed=1)
    outputs = layer(images, training=True)
    assert outputs.dtype == "uint8"
    draws = found(outputs.numpy(), images, padding)
    assert len(np.unique(draws[:, 0])) == 2 * padding + 1
    assert len(np.unique(draws[:, 1])) == 2 * padding + 1
    assert set(draws[:, 2]) == ({0, 1} if flip else {0})


def test_draws_are_uniform_and_independent():
    """18 outcomes of padding 1, 3600 images: 200 each, standard deviation 13.7.

    Chi-square with 17 degrees of freedom: mean 17, below 50 with p > 0.9999.
    """
    images = random_images(3600)
    layer = views.CropAndFlip(padding=1, seed=2)
    draws = found(layer(images, training=True).numpy(), images, 1)
    counts = np.bincount(draws @ [6, 2, 1], minlength=18)
    assert len(counts) == 18
    assert ((counts - 200) ** 2 / 200).sum() < 50
    assert abs(draws[:, 2].mean() - 0.5) < 4 * 0.5 / np.sqrt(3600)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_dtype_and_identity_outside_training(dtype):
    images = random_images(4).astype(dtype)
    layer = views.crop_and_flip(padding=2, seed=0)
    for outputs in (layer(images), layer(images, training=False)):
        assert outputs.dtype == dtype
        np.testing.assert_array_equal(outputs, images)
    outputs = layer(images, training=True)
    assert outputs.dtype == dtype
    found(outputs.numpy(), images, 2)


def test_a_mixed_precision_policy_leaves_the_pixels():
    images = random_images(4).astype("float32") + 0.125  # Not a bfloat16.
    layer = views.CropAndFlip(padding=1, seed=0, dtype="mixed_bfloat16")
    outputs = layer(images, training=True)
    assert outputs.dtype == "float32"
    found(outputs.numpy(), images, 1)


def test_calls_differ_and_a_seed_repeats_them():
    images = random_images(32)

    def two_calls(seed):
        layer = views.CropAndFlip(padding=2, seed=seed)
        return [layer(images, training=True).numpy() for _ in range(2)]

    first, second = two_calls(7)
    assert np.any(first != second)
    np.testing.assert_array_equal(two_calls(7), [first, second])
    assert np.any(two_calls(8)[0] != first)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_with_an_unknown_batch_size(jit_compile):
    layer = views.CropAndFlip(padding=1, seed=3)
    spec = tf.TensorSpec((None, 6, 5, 2), tf.uint8)

    @tf.function(input_signature=[spec], jit_compile=jit_compile)
    def augment(images):
        return layer(images, training=True), layer(images, training=True)

    for rows in (33, 40):
        images = random_images(rows)
        first, second = (found(view.numpy(), images, 1) for view in augment(images))
        assert np.any(first != second)
        assert len(np.unique(first, axis=0)) > 9


def test_compute_output_shape_and_config_round_trip():
    layer = views.CropAndFlip(padding=3, flip=False, seed=5, name="augment")
    assert layer.compute_output_shape((None, 6, 5, 2)) == (None, 6, 5, 2)
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, views.CropAndFlip)
    assert (copy.padding, copy.flip, copy.seed, copy.name) == (3, False, 5, "augment")
    images = random_images(16)
    np.testing.assert_array_equal(
        copy(images, training=True), layer(images, training=True)
    )


def test_crop_and_flip_is_the_papers_augmentation():
    layer = views.crop_and_flip()
    assert (layer.padding, layer.flip, layer.seed) == (4, True, None)


def test_two_views_draws_for_each_and_passes_the_rest_on():
    images, labels, weights = random_images(32), tf.range(32), tf.ones(32)
    layer = views.CropAndFlip(padding=1, seed=4)
    data = tf.data.Dataset.from_tensor_slices((images, labels, weights)).batch(32)
    data = data.map(views.two_views(lambda image: layer(image, training=True)))
    ((pair, label, weight),) = list(data)
    assert set(pair) == {"view_a", "view_b"}
    first, second = (found(pair[key].numpy(), images, 1) for key in sorted(pair))
    assert np.any(first != second)
    np.testing.assert_array_equal(label, np.arange(32))
    np.testing.assert_array_equal(weight, np.ones(32))


def test_negative_padding_is_refused():
    message = r"at least 0 pixels\. Received: padding=-1"
    with pytest.raises(ValueError, match=message):
        views.CropAndFlip(padding=-1)
