"""LinearDecay: the rate of each epoch, and that beta_1 reaches the compiled step."""

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import (
    CleanThreshold,
    CosineDecay,
    LinearDecay,
    MeanTeacher,
)

RATE = 0.01


class Recorder(keras.callbacks.Callback):
    """Remembers rate, Adam's state and a kernel after each epoch."""

    def __init__(self):
        super().__init__()
        self.rates, self.states = [], []

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self.rates.append(float(optimizer.learning_rate))
        kernel = self.model.student.trainable_variables[0]
        index = optimizer._get_variable_index(kernel)
        variables = (
            kernel,
            optimizer._momentums[index],
            optimizer._velocities[index],
        )
        self.states.append(
            [keras.ops.convert_to_numpy(v).astype("float64") for v in variables]
        )


def fit(model, digits, callback, epochs, initial_epoch=0):
    """One step an epoch, on views that are equal, so that nothing is drawn."""
    recorder = Recorder()
    model.fit(
        {"view_a": digits.x[:32], "view_b": digits.x[:32]},
        digits.y[:32],
        batch_size=32,
        shuffle=False,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[CleanThreshold(warmup_epochs=1), MeanTeacher(), recorder]
        + ([callback] if callback else []),
        verbose=0,
    )
    return recorder


def adam(make_digits_model, **arguments):
    return make_digits_model(keras.optimizers.Adam(RATE, **arguments))


def test_rate_of_each_epoch(make_digits_model, digits):
    """Two full epochs of five, then thirds of the way: 1, 1, 3/3, 2/3, 1/3."""
    model = adam(make_digits_model)
    rates = fit(model, digits, LinearDecay(2), epochs=5).rates
    assert rates == pytest.approx([RATE, RATE, RATE, RATE * 2 / 3, RATE / 3])
    # A resumed run, whose optimizer stands at a decayed rate already.
    callback = LinearDecay(2, learning_rate=RATE)
    rates = fit(model, digits, callback, epochs=5, initial_epoch=3).rates
    assert rates == pytest.approx([RATE * 2 / 3, RATE / 3])


@pytest.mark.parametrize("make", [lambda: LinearDecay(80), CosineDecay])
def test_a_second_fit_has_the_rate_of_its_own_optimizer(
    make, make_digits_model, digits
):
    callback = make()
    for rate in (0.05, 0.001):
        model = make_digits_model(keras.optimizers.Adam(rate))
        assert fit(model, digits, callback, epochs=1).rates == pytest.approx([rate])
    assert callback.learning_rate is None


def test_short_run_keeps_the_full_rate(make_digits_model, digits):
    rates = fit(adam(make_digits_model), digits, LinearDecay(80), epochs=2).rates
    assert rates == pytest.approx([RATE, RATE])


def test_beta_1_reaches_the_compiled_step(make_digits_model, digits):
    """Equal weights before the change; after it Adam's recurrence with the new beta.

    With `start_epoch=2` the third step is the first with beta_1 = 0.1. The rate of
    that epoch is still full.
    """
    changed = fit(
        adam(make_digits_model), digits, LinearDecay(2, beta_1=0.1), epochs=3
    ).states
    unchanged = fit(adam(make_digits_model), digits, LinearDecay(2), epochs=3).states
    for ours, theirs in zip(changed[1], unchanged[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)

    # Both take the same gradient g, which the second moment does not tell apart.
    np.testing.assert_array_equal(changed[2][2], unchanged[2][2])
    # m = 0.9 m' + 0.1 g without the change, m = 0.1 m' + 0.9 g with it.
    momentum = changed[1][1]
    gradient = (unchanged[2][1] - 0.9 * momentum) / 0.1
    expected = 0.1 * momentum + 0.9 * gradient
    scale = np.abs(expected).max()
    np.testing.assert_allclose(changed[2][1], expected, atol=1e-4 * scale)

    kernel, _, _ = changed[1]
    _, first, second = changed[2]
    rate = RATE * np.sqrt(1 - 0.999**3) / (1 - 0.1**3)
    np.testing.assert_allclose(
        changed[2][0], kernel - rate * first / (np.sqrt(second) + 1e-7), atol=1e-6
    )
    assert np.abs(changed[2][0] - unchanged[2][0]).max() > 1e-3


def test_resumed_after_the_change(make_digits_model, digits):
    """A new optimizer that goes on after the start has the new beta_1 at once."""
    fresh = adam(make_digits_model, beta_1=0.1)
    state = fit(fresh, digits, LinearDecay(2), epochs=5, initial_epoch=4).states[0]
    again = adam(make_digits_model)
    callback = LinearDecay(2, beta_1=0.1)
    other = fit(again, digits, callback, epochs=5, initial_epoch=4).states[0]
    assert again.optimizer.beta_1 == 0.1
    for ours, theirs in zip(state, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_loss_scaling_is_looked_through(make_digits_model, digits):
    """The rate and beta_1 are those of the optimizer inside the wrapper."""
    inner = keras.optimizers.Adam(RATE)
    model = make_digits_model(keras.optimizers.LossScaleOptimizer(inner))
    rates = fit(model, digits, LinearDecay(0, beta_1=0.1), epochs=2).rates
    assert rates == pytest.approx([RATE, RATE / 2])
    assert inner.beta_1 == 0.1


def test_optimizer_without_beta_1_is_refused(make_digits_model):
    model = make_digits_model(keras.optimizers.SGD(RATE))
    callback = LinearDecay(1, beta_1=0.1)
    callback.set_model(model)
    with pytest.raises(ValueError, match=r"Received: SGD and beta_1=0\.1.*Leave"):
        callback.on_train_begin()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"start_epoch": -1}, "start_epoch=-1"),
        ({"start_epoch": 1, "beta_1": 1.0}, r"beta_1=1\.0"),
    ],
)
def test_refuses_what_is_out_of_range(arguments, text):
    with pytest.raises(ValueError, match=text):
        LinearDecay(**arguments)
