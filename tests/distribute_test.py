"""Two replicas train as one device does on the same global batches."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json
import sys
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

from josrc_keras import Decoupling, JoSRC
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, SelectionMonitor


def train(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        image = keras.Input((6, 6, 1))
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
        x = keras.layers.Dense(16, activation="relu")(x)
        network = keras.Model(image, keras.layers.Dense(4)(x))
        if sys.argv[1] == "JoSRC":
            model = JoSRC(network, 4, smoothing=0.3)
        else:
            model = Decoupling(network, 4)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    random = np.random.default_rng(0)
    a, b = random.uniform(0, 255, (2, 64, 6, 6, 1)).astype("float32")
    truth = random.integers(0, 4, 64)
    given = np.where(random.random(64) < 0.5, truth, random.integers(0, 4, 64))
    images = {"view_a": a, "view_b": b}
    labels = {"label": given, "true_label": truth}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    callbacks = [SelectionMonitor()]
    if sys.argv[1] == "JoSRC":
        callbacks += [CleanThreshold(0.95, 0.96, 10), MeanTeacher()]
    history = model.fit(
        data, epochs=12, verbose=0, validation_data=(a, truth), callbacks=callbacks
    )
    return [w.tolist() for w in model.get_weights()], history.history


one = train(tf.distribute.get_strategy())
many = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(json.dumps({"one": one, "many": many}))
"""


@pytest.mark.parametrize("method", ["JoSRC", "Decoupling"])
def test_mirrored_equals_one_device(method):
    """Weights, teacher, threshold and metrics, in the warm-up and after it.

    The replicas hold unequal numbers of samples to learn from, so a mean per replica
    would differ from the mean over the global batch.
    """
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, method],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout.splitlines()[-1])
    (one, history), (many, mirrored) = results["one"], results["many"]
    for first, second in zip(one, many, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    warm_up = history["clean_fraction"][:9]
    assert any(0.1 < fraction < 0.9 for fraction in warm_up)  # Else it tests nothing.
    assert history.keys() == mirrored.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, mirrored[name], atol=1e-5, err_msg=name)
