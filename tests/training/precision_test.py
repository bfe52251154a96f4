"""Half precision with losses that are really scaled, and XLA for the whole step."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.networks.normalization import BatchNormalization
from josrc_keras.runs import train

CLASSES = 4
random = np.random.default_rng(0)
X = random.uniform(0, 255, (48, 6, 6, 1)).astype("float32")
VIEWS = {"view_a": X, "view_b": X + random.normal(0, 20, X.shape).astype("float32")}
Y = random.integers(0, CLASSES, 48)


def make_model(policy="float32", rate=0.1, **compiling):
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    image = keras.Input((6, 6, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = BatchNormalization(epsilon=1e-4)(keras.layers.Conv2D(4, 3)(x))
    x = keras.layers.Flatten()(keras.layers.ReLU()(x))
    logits = keras.layers.Dense(CLASSES)(x)
    network = keras.Model(
        image, keras.layers.Activation("linear", dtype="float32")(logits)
    )
    keras.config.set_dtype_policy(before)
    model = JoSRC(network, CLASSES, smoothing=0.3)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"], **compiling)
    return model


def fit(model, epochs=1, **arguments):
    callbacks = [CleanThreshold(0.9, 0.95, 2), MeanTeacher(0.9)]
    return model.fit(
        VIEWS,
        Y,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **arguments,
    ).history


def furthest(ours, theirs):
    """The largest difference of a weight."""
    return max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))


def test_gradients_too_small_for_float16_survive():
    """A weight of 1e-7 makes gradients below float16's least number, 6e-8.

    Scaled by 2**15 they are what a float32 network has; unscaled they are gone.
    """
    updates = {}
    for name, policy, scaled in (
        ("float32", "float32", True),
        ("scaled", "mixed_float16", True),
        ("unscaled", "mixed_float16", False),
    ):
        model = make_model(policy, rate=1e6, auto_scale_loss=scaled)
        model.tau_clean.assign(0.0)
        start = model.student.get_weights()
        kernel = [w.path for w in model.student.weights].index(
            model.student.layers[-2].kernel.path
        )
        weights = np.full(48, 1e-7, "float32")
        fit(model, sample_weight=weights)
        updates[name] = model.student.get_weights()[kernel] - start[kernel]
    size = np.abs(updates["float32"]).max()
    assert size > 1e-3
    np.testing.assert_allclose(updates["scaled"], updates["float32"], atol=0.05 * size)
    assert np.abs(updates["unscaled"]).max() < 0.5 * size


def test_a_step_that_overflows_is_skipped_and_the_scale_halved():
    model = make_model("mixed_float16")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(2.0**40)
    start = model.student.get_weights()
    history = fit(model)  # Three steps.
    assert float(model.optimizer.dynamic_scale) == 2.0**37
    assert np.isfinite(history["loss"]).all()
    trainable = [w.path for w in model.student.trainable_weights]
    for weight, before in zip(model.student.weights, start, strict=True):
        if weight.path in trainable:
            np.testing.assert_array_equal(weight.numpy(), before)
    fit(model, epochs=12)
    assert float(model.optimizer.dynamic_scale) < 2.0**37
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert furthest(model.student.get_weights(), start) > 0.01


def test_a_step_compiled_by_xla_is_the_same_step():
    """Selection, re-labelling, losses, both networks' updates; warm-up and joint."""
    histories, weights = [], []
    for compiled in (False, True):
        model = make_model(rate=0.02, jit_compile=compiled)
        assert model.jit_compile == compiled
        histories.append(fit(model, epochs=3))
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert any(0.1 < fraction < 0.9 for fraction in histories[0]["clean_fraction"])
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, atol=1e-4, err_msg=name)


def test_xla_is_a_field(quick_config):
    choices = {"auto": (True, False), "always": (True,), "never": (False,)}
    for name, expected in choices.items():
        model = train.make_model(quick_config(jit_compile=name), CLASSES)
        assert model.jit_compile in expected
    with pytest.raises(ValueError, match=r"one of \('auto', 'always', 'never'\)"):
        train.make_model(quick_config(jit_compile="yes"), CLASSES)


def test_xla_and_determinism_exclude_one_another(quick_config, deterministic):
    """Keras would leave XLA out with a warning."""
    config = quick_config(jit_compile="always")
    with pytest.raises(ValueError, match=r"Set config\.deterministic=never"):
        train.make_model(config, CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_whole_run_in_half_precision(tmp_path, precision):
    """Forty epochs of the digits: finite throughout, and as good as in float32."""
    from josrc_keras.configs import digits8n_o

    config = digits8n_o.get_config("paper")
    config.precision = precision
    summary = train.train(config, tmp_path, verbose=0)
    assert summary["student"]["last10_mean"] > 0.95
    assert summary["teacher"]["last10_mean"] > 0.95
    assert "NaN" not in json.dumps(summary)
    assert "nan" not in (tmp_path / "history.csv").read_text()
