"""Options and fixtures that every test shares."""

import os
import sys
import types

import numpy as np
import pytest

pytest_plugins = ["tests.support.export_runs"]
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_addoption(parser):
    parser.addoption(
        "--runslow", action="store_true", help="also run the tests marked slow"
    )


# Files of long tests begin first: begun last, they would leave other cores idle.
FIRST = (
    "tests/training/jax_test.py",
    "tests/devices/distribute_test.py",
    "tests/commands/train_test.py",
    "tests/runs/without_tensorflow_test.py",
    "tests/golden_test.py",
    "tests/commands/reproduce_test.py",
    "tests/runs/large_sets_test.py",
    "tests/commands/export_test.py",
)


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    if config.getoption("--runslow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --runslow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def seed():
    """Seeds every generator; a test that does not use Keras does not import it.

    Op determinism that a training turned on before ends here.
    """
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    if "tensorflow.python.framework.config" in sys.modules:
        sys.modules["tensorflow.python.framework.config"].disable_op_determinism()


@pytest.fixture
def deterministic():
    """TensorFlow's op determinism, which a training turns on, for one test only."""
    from tensorflow.python.framework import config

    config.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="session")
def digits():
    """192 of the noisy digits: `x`, `y` (given), `truth`, `labels` (both), `count`."""
    from josrc_keras import data

    train = data.digits8n_o(train_size=192).train
    labels = {"label": train.labels, "true_label": train.true_labels}
    return types.SimpleNamespace(
        x=train.images,
        y=train.labels,
        truth=train.true_labels,
        labels=labels,
        count=192,
    )


@pytest.fixture
def make_digits_model():
    """A function that makes a tiny compiled JoSRC for the digits, always the same."""
    import keras

    from josrc_keras import JoSRC, views

    def make(optimizer=None, **arguments):
        keras.utils.set_random_seed(0)
        network = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Rescaling(1 / 16),
                keras.layers.Flatten(),
                keras.layers.Dense(8),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(8),
            ]
        )
        arguments.setdefault("augmentation", views.crop_and_flip(1, flip=False))
        model = JoSRC(network, 8, smoothing=0.3, **arguments)
        model.compile(optimizer or keras.optimizers.Adam(1e-3), metrics=["accuracy"])
        return model

    return make


@pytest.fixture(scope="session")
def trained():
    """A JoSRC of the digits whose student, teacher and untrained self all differ."""
    import keras

    from josrc_keras import JoSRC, data, networks, views
    from josrc_keras.callbacks import CleanThreshold, MeanTeacher

    keras.utils.set_random_seed(0)
    train = data.digits8n_o(rate=0.2).train
    augmentation = views.crop_and_flip(1, flip=False)
    model = JoSRC(networks.digits_cnn(8), 8, smoothing=0.3, augmentation=augmentation)
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    model.fit(
        train.images,
        train.labels,
        batch_size=64,
        epochs=2,
        callbacks=[CleanThreshold(warmup_epochs=1), MeanTeacher()],
        verbose=0,
    )
    return model


@pytest.fixture
def quick_config():
    """A function that makes the digits' configuration, small enough for a test.

    Of the paper's recipe, unless another one is named.
    """
    from josrc_keras.configs import digits8n_o

    def make(recipe="paper", **fields):
        config = digits8n_o.get_config(recipe)
        config.epochs = 4
        config.deterministic = "always"
        config.data.train_size = 128
        config.threshold.warmup_epochs = 2
        config.learning_rate_decay.start_epoch = 2
        config.update_from_flattened_dict(fields)
        return config

    return make


@pytest.fixture(scope="session")
def equal_arrays():
    """A function that compares two lists of arrays to the last digit."""

    def compare(first, second):
        assert len(first) == len(second)
        for ours, theirs in zip(first, second, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    return compare
