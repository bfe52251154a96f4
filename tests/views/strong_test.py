"""strong_views: RandAugment of each image by itself, and what a run makes of it."""

import importlib.util
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.data import batches
from josrc_keras.runs import build_data, configuration
from josrc_keras.runs import train as experiment
from josrc_keras.views import strong
from tests.support import photos
from tests.support.crops import found, random_images
from tests.support.photo_runs import make_config
from tests.support.runs import StopAfter, history_of, without_pictures

SIZE = 12
without_keras_cv = pytest.mark.skipif(
    importlib.util.find_spec("keras_cv") is None, reason="keras-cv is not installed"
)
LIBRARIES = ["keras", pytest.param("keras_cv", marks=without_keras_cv)]
MAKERS = {
    "keras": strong._operations_of_keras,
    "keras_cv": strong._operations_of_keras_cv,
}


def random_photos(rows, height=SIZE, width=SIZE + 3):
    return random_images(rows, height, width, channels=3)


def dataset(images, batch=8):
    rows = np.arange(len(images))
    labels = {"label": rows % 5, "index": rows}
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    return data.batch(batch, drop_remainder=True)


def drawn(data, augment, **arguments):
    """`(view_a, view_b, index)` of a whole dataset, in arrays."""
    arguments.setdefault("seed", 3)
    found = list(strong.views_of(data, augment, **arguments))
    parts = [(pair["view_a"], pair["view_b"], known["index"]) for pair, known in found]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@pytest.fixture(scope="module", params=LIBRARIES)
def views(request):
    """`(augment, images, view_a, view_b, index)`: one image, 32 times."""
    images = np.repeat(random_photos(1), 32, axis=0)
    augment = strong.rand_augment(size=10, library=request.param)
    return augment, images, *drawn(dataset(images), augment)


def test_a_view_is_an_image_of_the_crops_size(views):
    *_, view_a, view_b, index = views
    for view in (view_a, view_b):
        assert view.dtype == "uint8"
        assert view.shape == (32, 10, 10, 3)
        assert 100 < view.mean() < 156  # Of even noise in [1, 255]: 128.
    np.testing.assert_array_equal(index, np.arange(32))


def test_every_image_has_draws_of_its_own(views):
    """And both views; not one of a batch of equal images equals another."""
    _, _, view_a, view_b, _ = views
    different = {view.tobytes() for view in (*view_a, *view_b)}
    # 3 x 6 crops, mirrored or not, and both operations the identity now and then.
    assert len(different) > 60
    assert np.all(np.any(view_a != view_b, axis=(1, 2, 3)).sum() > 30)


def test_the_views_are_a_function_of_seed_and_position(views):
    """Again; from the third batch on; and others with another seed."""
    augment, images, *expected = views
    for ours, theirs in zip(drawn(dataset(images), augment), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    later = drawn(dataset(images).skip(2), augment, start=2)
    for ours, theirs in zip(later, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs[16:])
    other, *_ = drawn(dataset(images), augment, seed=2**40)
    assert np.any(other != expected[0], axis=(1, 2, 3)).sum() > 30


def test_one_view_is_drawn_where_one_is_trained_on(views):
    augment, images, view_a, _, _ = views
    ours, theirs, _ = drawn(dataset(images), augment, two=False)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours, view_a)


@pytest.mark.parametrize("library", LIBRARIES)
def test_operations_keep_shape_and_range(library):
    """Each of them changes the image, which can tell left from right."""
    images = tf.cast(random_photos(1, 16, 16) // 2 + 40, "float32")
    operations = MAKERS[library](0.5)
    assert len(operations) == {"keras": 13, "keras_cv": 10}[library]
    for operation in operations:
        results = [operation(images, (1, seed)).numpy() for seed in range(4)]
        for result in results:
            assert result.shape == images.shape
            assert 0 <= result.min() <= result.max() <= 255
        assert any(np.abs(result - images).mean() > 1 for result in results)
        again = operation(images, (1, 0)).numpy()
        np.testing.assert_array_equal(again, results[0])


def test_solarising_inverts_what_is_bright():
    """At magnitude 0.25 thresholds are at least 255 * 0.75 = 191.25."""
    images = tf.reshape(tf.range(256.0), (1, 16, 16, 1))
    solarise = MAKERS["keras"](0.25)[0]
    starts = set()
    for seed in range(20):
        levels = solarise(images, (0, seed)).numpy().ravel()
        start = int(np.argmax(levels != np.arange(256)))
        np.testing.assert_array_equal(levels[:start], np.arange(start))
        np.testing.assert_array_equal(levels[start:], 255 - np.arange(start, 256))
        starts.add(start)
    assert min(starts) > 191
    assert len(starts) > 10


def test_crops_and_flips_are_each_images_own(monkeypatch):
    """Without operations a view is a crop of the padded image, in any of 18 ways."""
    monkeypatch.setattr(strong, "_operations_of_keras", lambda magnitude: [])
    images = random_photos(64, 6, 5)
    augment = strong.rand_augment(padding=1, library="keras")
    for view in drawn(dataset(images), augment)[:2]:
        ways = found(view, images, 1)
        assert len(np.unique(ways, axis=0)) > 12
    still = strong.rand_augment(flip=False, library="keras")
    np.testing.assert_array_equal(drawn(dataset(images), still)[0], images)


def test_operations_are_drawn_evenly(monkeypatch):
    """Two of four, one the identity: 3600 images, the sum of the two in binary digits.

    Chi-square with 9 degrees of freedom: below 34 with p > 0.9999.
    """

    def add(value, images, seed):
        return images + value

    def make(magnitude):
        return [lambda x, s, v=value: add(v, x, s) for value in (1.0, 8.0, 64.0)]

    monkeypatch.setattr(strong, "_operations_of_keras", make)
    augment = strong.rand_augment(library="keras")
    view, *_ = drawn(dataset(np.zeros((3600, 1, 1, 3), "uint8"), 60), augment)
    sums, counts = np.unique(view[..., 0], return_counts=True)
    expected = {0: 1, 2: 1, 16: 1, 128: 1, 1: 2, 8: 2, 64: 2, 9: 2, 65: 2, 72: 2}
    assert set(sums) == set(expected)
    mean = 225 * np.array([expected[each] for each in sums])
    assert ((counts - mean) ** 2 / mean).sum() < 34


def test_without_keras_cv_it_is_keras(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    image = random_photos(1)[0]
    ours, theirs = (
        strong.rand_augment(library=library) for library in ("auto", "keras")
    )
    for seed in range(3):
        np.testing.assert_array_equal(ours(image, (0, seed)), theirs(image, (0, seed)))
    with pytest.raises(ImportError) as caught:
        strong.rand_augment(library="keras_cv")
    assert str(caught.value) == (
        "Strong views of library='keras_cv' need keras-cv, which is not installed. Run "
        "`pip install josrc-keras[keras-cv]`."
    )


@without_keras_cv
def test_with_keras_cv_it_is_keras_cv():
    """Whose layers leave TensorFlow's own generator as it was."""
    from tensorflow.python.ops import stateful_random_ops

    before = stateful_random_ops.global_generator
    image = random_photos(1)[0]
    ours, theirs, others = (
        strong.rand_augment(library=library)
        for library in ("auto", "keras_cv", "keras")
    )
    results = [np.stack([f(image, (0, s)) for s in range(4)]) for f in (ours, theirs)]
    np.testing.assert_array_equal(*results)
    assert np.any(results[0] != np.stack([others(image, (0, s)) for s in range(4)]))
    assert stateful_random_ops.global_generator is before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"library": "torch"},
            r"as one of \('auto', 'keras_cv', 'keras'\)\. Rec.*torch",
        ),
        ({"num_ops": 0}, r"Received: num_ops=0, magnitude=0\.5\."),
        ({"magnitude": 10}, r"`magnitude` in \[0, 1\]\. Received: .*magnitude=10\."),
        ({"magnitude": -0.1}, r"Received: num_ops=2, magnitude=-0\.1\."),
        ({"padding": -1}, r"Received: padding=-1, size=None\."),
        ({"size": 0}, r"Received: padding=0, size=0\."),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        strong.rand_augment(**arguments)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((8, 8, 1), "uint8"), r"shape \(8, 8, 1\), dtype uint8\. Decode"),
        (np.zeros((8, 8, 3), "float32"), r"shape \(8, 8, 3\), dtype float32"),
        (np.zeros((8, 9, 3), "uint8"), r"Received: 8x9, padding=1\. Give larger"),
    ],
)
def test_other_images_are_refused(image, text):
    augment = strong.rand_augment(library="keras", size=11, padding=1)
    with pytest.raises(ValueError, match=text):
        augment(tf.constant(image), (0, 0))


def test_batches_of_unknown_size_are_refused():
    data = dataset(random_photos(4)).unbatch().batch(3)
    with pytest.raises(ValueError, match=r"shape \(None, 12, 15, 3\)\. Batch with"):
        strong.views_of(data, None, seed=0)


def test_data_on_the_device_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "train_batches", lambda *a, **k: iter(()))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    config = make_config(tmp_path, **{"strong_views.enabled": True})
    with pytest.raises(ValueError) as caught:
        build_data.train_batches(config, None, 0)
    assert str(caught.value) == (
        "Strong views are drawn in tf.data. Received: config.strong_views.enabled=True "
        "and images that stay on the device, on jax. Set KERAS_BACKEND=tensorflow, or "
        "stream the images: `josrc-records` writes them for config.data.name=records."
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    photos.fill(folder, cat=9, dog=9)
    return folder


@pytest.fixture
def train(folder, monkeypatch, deterministic):
    """A function that trains two epochs: `(run, *callbacks, **fields)`."""
    without_pictures(monkeypatch)

    def call(run, *callbacks, **fields):
        fields = {name.replace("__", "."): value for name, value in fields.items()}
        fields = {"epochs": 2, "strong_views.enabled": True} | fields
        config = make_config(folder, **fields)
        return experiment.train(config, run, verbose=0, callbacks=callbacks)

    return call


class Look(keras.callbacks.Callback):
    """Keeps the batches' images, and the views that a model of one view takes."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        one_view = self.model.one_view

        def look(batch):
            view = one_view(batch)
            self.seen.append((batch.images, view))
            return view

        self.model.one_view = look


@pytest.mark.parametrize(
    "library", [pytest.param("keras", marks=pytest.mark.slow), *LIBRARIES[1:]]
)
def test_a_resumed_run_sees_the_same_views(train, tmp_path, library, equal_arrays):
    """To the last digit; a method of one view trains on it as it was drawn."""
    whole, parts, look = tmp_path / "whole", tmp_path / "parts", Look()
    fields = {"method": "standard", "strong_views__library": library}
    train(whole, look, **fields)
    for images, view in look.seen:
        assert images["view_a"].shape == (8, photos.SIZE, photos.SIZE, 3)
        assert view is images["view_a"]
    assert look.seen
    assert train(parts, StopAfter(1), **fields) is None
    train(parts, **fields)
    assert history_of(parts) == history_of(whole)
    models = [keras.saving.load_model(f / "model.keras") for f in (whole, parts)]
    equal_arrays(*(model.get_weights() for model in models))


def test_josrc_trains_on_both_views(train, tmp_path):
    """And knows every sample by its number: 16 photos, in two epochs of two batches."""
    summary = train(tmp_path, strong_views__library="keras")
    assert summary["epochs"] == 2
    history = history_of(tmp_path)
    assert all(0 <= float(epoch["clean_likelihood"]) <= 1 for epoch in history)
    with np.load(tmp_path / "sample_history.npz") as known:
        assert known["verdicts"].shape[0] == 16
        assert (known["verdicts"] > 0).sum(axis=1).tolist() == [2] * 16


def test_grey_images_are_refused_before_training(quick_config, tmp_path, deterministic):
    config = quick_config(**{"strong_views.enabled": True})
    with pytest.raises(ValueError, match=r"\(H, W, 3\) in uint8.* shape \(8, 8, 1\)"):
        experiment.train(config, tmp_path, verbose=0)


def test_a_run_of_before_the_field_has_no_strong_views(folder, tmp_path):
    config = make_config(folder)
    before = config.to_dict()
    del before["strong_views"]
    config.update(configuration.upgrade(before))
    split = experiment.make_benchmark(config, tmp_path).train
    images, _ = next(iter(build_data.train_batches(config, split, 0)))
    assert images.shape == (8, photos.SIZE, photos.SIZE, 3)
