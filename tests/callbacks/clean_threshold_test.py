"""CleanThreshold: what it writes at each epoch, and its two warnings."""

import keras
import pytest

from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from tests.support import oracle


class Recorder(keras.callbacks.Callback):
    """Remembers `tau_clean` and `joint` as they are in each epoch."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.rows.append((float(self.model.tau_clean), float(self.model.joint)))


def fit(model, digits, callback, epochs, initial_epoch=0):
    recorder = Recorder()
    history = model.fit(
        digits.x[:16],
        digits.y[:16],
        batch_size=16,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[callback, MeanTeacher(), recorder],
        verbose=0,
    )
    return recorder.rows, history.history


@pytest.mark.parametrize("first_epoch", [0, 1])
def test_variables_follow_eq_12(make_digits_model, digits, first_epoch):
    """Threshold and warm-up switch at every epoch, counted from 1 or from 0."""
    callback = CleanThreshold(0.6, 0.9, warmup_epochs=2, first_epoch=first_epoch)
    rows, history = fit(make_digits_model(), digits, callback, epochs=5)
    counts = [epoch + first_epoch for epoch in range(5)]
    tau = [oracle.threshold(t, 0.6, 0.9, 2, 5) for t in counts]
    assert [row[0] for row in rows] == pytest.approx(tau, rel=1e-6)
    assert history["tau_clean"] == pytest.approx(tau, rel=1e-6)
    assert rows[0][0] == pytest.approx({0: 0.0, 1: 0.6 / 2}[first_epoch])  # By hand.
    # Algorithm 1: all samples and eq. 10 from epoch t_w = 2 on.
    expected = {0: [0, 0, 1, 1, 1], 1: [0, 1, 1, 1, 1]}[first_epoch]
    assert [row[1] for row in rows] == expected


def test_resumed_run_goes_on_where_it_was(make_digits_model, digits):
    """With `initial_epoch`, epoch 3 of 5 has epoch 3's threshold, not epoch 1's."""
    callback = CleanThreshold(0.6, 0.9, warmup_epochs=2)
    rows, _ = fit(make_digits_model(), digits, callback, epochs=5, initial_epoch=3)
    tau = [oracle.threshold(t, 0.6, 0.9, 2, 5) for t in (4, 5)]
    assert [row[0] for row in rows] == pytest.approx(tau, rel=1e-6)
    assert [row[1] for row in rows] == [1, 1]


def test_epochs_can_be_given(make_digits_model, digits):
    """A plan of 9 epochs of which `fit` does 2."""
    callback = CleanThreshold(0.6, 0.9, warmup_epochs=0, epochs=9)
    rows, _ = fit(make_digits_model(), digits, callback, epochs=2)
    assert [row[0] for row in rows] == pytest.approx(
        [0.6 + 0.3 * t / 9 for t in (1, 2)], rel=1e-6
    )


def warnings_of(model, caplog, callback, epochs=20):
    callback.set_model(model)
    callback.set_params({"epochs": epochs})
    caplog.clear()
    with caplog.at_level("WARNING", logger="absl"):
        callback.on_train_begin()
    return [record.getMessage() for record in caplog.records]


def test_warns_of_few_classes_with_strong_smoothing(make_digits_model, caplog):
    """DESIGN's table: C = 8, eps 0.6, 0.4 on a wrong class scores 0.841 > 0.75."""
    model = make_digits_model()
    model.smoothing = 0.6
    (text,) = warnings_of(model, caplog, CleanThreshold(0.75))
    assert "8 classes" in text and "smoothing 0.60" in text and "0.841" in text
    # At 0.40 such a prediction scores less than 0.75, at 0.45 more.
    assert "smoothing of at most 0.40" in text

    model.smoothing = 0.3  # 0.651 < 0.75: fine.
    assert warnings_of(model, caplog, CleanThreshold(0.75)) == []
    model.smoothing = 0.6
    assert warnings_of(model, caplog, CleanThreshold(0.85)) == []


@pytest.mark.parametrize(
    ("epochs", "first_epoch", "warned"),
    [(9, 1, True), (10, 1, False), (10, 0, True), (11, 0, False)],
)
def test_warns_of_a_warm_up_without_end(
    make_digits_model, caplog, epochs, first_epoch, warned
):
    """The last epoch's count must reach t_w = 10."""
    callback = CleanThreshold(warmup_epochs=10, first_epoch=first_epoch)
    texts = warnings_of(make_digits_model(), caplog, callback, epochs)
    assert [f"10 epochs does not end within {epochs}" in t for t in texts] == (
        [True] if warned else []
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"tau_c": 0.9, "tau_m": 0.5}, "tau_c=0.9, tau_m=0.5"),
        ({"tau_m": 1.5}, "tau_m=1.5"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1"),
        ({"first_epoch": 2}, "first_epoch=2"),
    ],
)
def test_refuses_what_is_out_of_range(arguments, text):
    with pytest.raises(ValueError, match=text):
        CleanThreshold(**arguments)
