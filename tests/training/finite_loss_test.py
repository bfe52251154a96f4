"""FiniteLoss: training that breaks down stops, with a message."""

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.training import finite_loss


def test_training_that_breaks_down_stops(make_digits_model, digits):
    """An infinite learning rate gives NaN; the error names the batch and the fix."""
    model = make_digits_model(keras.optimizers.SGD(1e30))
    with pytest.raises(
        FloatingPointError, match=r"epoch [12], by batch \d+.*Lower the learning rate"
    ):
        model.fit(
            digits.x,
            digits.y,
            batch_size=4,
            epochs=3,
            callbacks=[CleanThreshold(warmup_epochs=0), MeanTeacher()],
            verbose=0,
        )


def look(guard, batches, broken_from=None, name="loss", value=np.nan):
    """Ends an epoch's batches, whose numbers are broken from one of them on."""
    for batch in batches:
        logs = {"loss": 1.0, "clean_likelihood": 0.5}
        if broken_from is not None and batch >= broken_from:
            logs[name] = value
        guard.on_train_batch_end(batch, logs)


@pytest.mark.parametrize("name", ["loss", "clean_likelihood"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_looks_at_loss_and_likelihood(name, value):
    """At batches 0, 20, 40, each time at the numbers of the look before.

    What breaks in batch 5 is in the numbers of batch 20, which it judges at batch 40;
    the message counts from 1.
    """
    guard = finite_loss.FiniteLoss()
    guard.on_epoch_begin(2)
    look(guard, range(40), 5, name, value)  # The device is spared until then.
    with pytest.raises(FloatingPointError, match=f"epoch 3, by batch 21.*{value}"):
        look(guard, [40], 5, name, value)


@pytest.mark.parametrize(
    ("broken_from", "found_at", "told"),
    [(0, 20, 1), (1, 40, 21), (20, 40, 21), (21, 60, 41), (59, 80, 61)],
)
def test_is_found_at_the_second_look_at_the_latest(broken_from, found_at, told):
    """The last batch before the error, and the batch that the message names."""
    guard, done = finite_loss.FiniteLoss(), []
    guard.on_epoch_begin(0)
    with pytest.raises(FloatingPointError, match=rf"epoch 1, by batch {told}\."):
        for batch in range(200):
            look(guard, [batch], broken_from)
            done.append(batch)
    assert len(done) == found_at


@pytest.mark.parametrize("batches", [1, 20, 21, 40])
def test_is_found_at_the_end_of_an_epoch_at_the_latest(batches):
    """An epoch with too few batches for a look that is late."""
    guard = finite_loss.FiniteLoss()
    guard.on_epoch_begin(7)
    look(guard, range(batches), broken_from=min(1, batches - 1))
    with pytest.raises(FloatingPointError, match=r"in epoch 8\. Received.*nan"):
        guard.on_epoch_end(7, {"loss": np.nan, "clean_likelihood": 0.5})


class Trained:
    """A model with one network of these weights."""

    def __init__(self, *weights):
        self.weights = [keras.Variable(each, name="kernel") for each in weights]

    def trained_networks(self):
        return [self]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_weight_is_found_behind_a_finite_loss(value):
    guard = finite_loss.FiniteLoss()
    guard.set_model(Trained([1.0, 2.0], [3.0, value]))
    with pytest.raises(
        FloatingPointError, match=r"epoch 2\. Received: weights: \['ker"
    ):
        guard.on_epoch_end(1, {"loss": 0.0})
    guard.set_model(Trained([1.0, 2.0], [3.0, 4.0]))
    guard.on_epoch_end(1, {"loss": 0.0})


def test_nothing_is_carried_over():
    """What an epoch left that was broken off says nothing of the next one.

    Be it of the same `fit` or, with the same callback, of another one.
    """
    guard = finite_loss.FiniteLoss()
    guard.set_model(Trained())
    for epoch in (3, 4, 0):
        guard.on_epoch_begin(epoch)
        look(guard, range(61))  # Four looks, none of them at what was left.
        guard.on_epoch_end(epoch, {"loss": 1.0})
        guard.on_epoch_begin(epoch + 1)
        look(guard, [0], broken_from=0)
    guard.on_epoch_begin(5)
    with pytest.raises(FloatingPointError, match=r"in epoch 6, by batch 1\."):
        look(guard, range(40), broken_from=0)


def test_other_metrics_may_be_anything():
    """It looked (at batch 40, the third of its looks) and went on."""
    for logs in ({"loss": 1.0, "mine": np.nan}, {}):
        guard = finite_loss.FiniteLoss()
        guard.set_model(Trained())
        guard.on_epoch_begin(0)
        for batch in range(41):
            guard.on_train_batch_end(batch, logs)
        assert guard.looked == 2
        guard.on_epoch_end(0, logs)


def test_looks_though_an_execution_runs_many_batches():
    """With eight batches an execution the index is 7, 15, 23, ...: it looks at 23.

    It judges that at the next look, 47 (39 is in the same twenty as 23).
    """
    guard, ends = finite_loss.FiniteLoss(), [7, 15, 23, 31, 39, 47]
    guard.on_epoch_begin(2)
    look(guard, ends[:4], broken_from=23)
    with pytest.raises(FloatingPointError, match="epoch 3, by batch 24"):
        look(guard, ends[4:], broken_from=23)
