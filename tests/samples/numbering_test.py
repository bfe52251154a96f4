"""Kind: a sample's number that is no number."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from josrc_keras import AdaptiveJoSRC, data, recipes, views
from josrc_keras.samples import numbering

N, EPOCHS = 48, 3
X = np.random.default_rng(0).uniform(0, 255, (N, 8, 8, 1)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, N)
PAIRS = tf.data.Dataset.from_tensor_slices((X, Y))


def fit(dataset, labels=None, count=N, epochs=EPOCHS, **arguments):
    recipe = recipes.adaptive(
        num_classes=3, num_samples=count, batch_size=12, epochs=epochs
    )
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    augmentation = views.crop_and_flip(padding=1, flip=False)
    model = AdaptiveJoSRC(network, 3, augmentation=augmentation, **recipe.model)
    model.compile("adam")
    return model.fit(
        dataset,
        labels,
        epochs=epochs,
        verbose=0,
        callbacks=recipe.callbacks,
        **arguments,
    )


def with_index(index):
    return tf.data.Dataset.from_tensor_slices((X, {"label": Y, "index": index}))


MESSAGE = r"a number of its own for each sample.*image_dataset_from_directory.*numbered"


def test_one_number_for_all_is_refused_in_the_first_epoch():
    with pytest.raises(ValueError, match=MESSAGE):
        fit(with_index(np.zeros(N, "int64")).batch(12), epochs=2)


def test_equal_labels_do_not_hide_it():
    """48 samples of one class with one number: no label contradicts another."""
    same = tf.data.Dataset.from_tensor_slices(
        (X, {"label": np.zeros(N, "int64"), "index": np.zeros(N, "int64")})
    )
    with pytest.raises(ValueError, match=r"48 samples with 1 numbers"):
        fit(same.batch(12), epochs=2)


def test_numbers_of_a_shuffled_dataset_are_refused_in_the_second_epoch():
    shuffled = PAIRS.shuffle(N, seed=0, reshuffle_each_iteration=True).enumerate()
    numbered = shuffled.map(lambda i, p: (p[0], {"label": p[1], "index": i})).batch(12)
    with pytest.raises(ValueError, match=r"numbers with another label than before"):
        fit(numbered, epochs=2)


def test_numbers_twice_are_refused():
    half = PAIRS.take(N // 2), PAIRS.skip(N // 2)
    both = data.numbered(half[0]).concatenate(data.numbered(half[1]))
    with pytest.raises(ValueError, match=MESSAGE):
        fit(both.batch(12), epochs=2)


@pytest.mark.parametrize("wrong", [-1, N])
def test_numbers_out_of_range_are_refused_at_once(wrong):
    """In arrays before the first batch, in a dataset with it."""
    index = np.arange(N)
    index[3] = wrong
    message = rf"Expected numbers of samples in \[0, {N - 1}\]\. Received: numbers from"
    with pytest.raises(ValueError, match=message):
        fit(with_index(index).batch(12))
    with pytest.raises(ValueError, match=message):
        fit(X, {"label": Y, "index": index}, batch_size=12)


def test_repeated_numbers_in_arrays_are_refused_before_training():
    index = np.arange(N)
    index[3] = 4
    with pytest.raises(ValueError, match=r"numbers that repeat in the arrays"):
        fit(X, {"label": Y, "index": index}, batch_size=12)


def test_right_numbers_are_taken_in_any_order():
    history = fit(data.numbered(PAIRS).shuffle(N).batch(12)).history
    assert np.isfinite(history["loss"]).all()


def test_few_numbers_are_warned_of(caplog):
    table = np.zeros((10, 4))
    table[:8, 0] = 1
    numbering.check_epoch(table, 10, 0)
    assert "An epoch of 10 samples had only 8 different numbers" in caplog.text


def test_a_dataset_is_numbered_in_its_order_batched_or_not():
    single = list(data.numbered(PAIRS).as_numpy_iterator())
    assert [int(label["index"]) for _, label in single] == list(range(N))
    np.testing.assert_array_equal([label["label"] for _, label in single], Y)
    batched = list(data.numbered(PAIRS.batch(10)).as_numpy_iterator())
    assert [len(label["index"]) for _, label in batched] == [10, 10, 10, 10, 8]
    found = np.concatenate([label["index"] for _, label in batched])
    np.testing.assert_array_equal(found, np.arange(N))
    one_hot = PAIRS.map(lambda image, label: (image, tf.one_hot(label, 3)))
    found = [label["index"] for _, label in data.numbered(one_hot.batch(10))]
    assert int(found[-1][-1]) == N - 1


def test_a_folder_of_photos_is_numbered(tmp_path):
    for number, image in enumerate(X[:12]):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", image)
    load = keras.utils.image_dataset_from_directory
    options = {"image_size": (8, 8), "batch_size": None, "verbose": False}
    numbered = data.numbered(load(tmp_path, shuffle=False, **options))
    assert [int(label["label"]) for _, label in numbered] == [0] * 6 + [1] * 6
    with pytest.raises(ValueError, match=r"shuffled anew.*shuffle=False"):
        data.numbered(load(tmp_path, shuffle=True, seed=3, **options))


def test_what_can_not_be_numbered_is_refused():
    with pytest.raises(ValueError, match=r"an endless one\. Number it before"):
        data.numbered(PAIRS.repeat())
    with pytest.raises(TypeError, match=r"as_supervised=True"):
        data.numbered(tf.data.Dataset.from_tensor_slices({"image": X, "label": Y}))
