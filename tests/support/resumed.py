"""A training of a method that is resumed from a checkpoint, beside the whole one."""

import shutil

import keras
import numpy as np

from josrc_keras.callbacks import RunCheckpoint
from josrc_keras.data import Split, batches
from tests.support import steps

IMAGES, LABELS = steps.batch(count=24)
LABELS = LABELS.astype("int64")
SPLIT = Split(IMAGES, LABELS, None, np.arange(24))
EPOCHS = 4


class CopyAfter(keras.callbacks.Callback):
    """Copies a folder after an epoch, counted from 1."""

    def __init__(self, epoch, folder, to):
        super().__init__()
        self.epoch, self.folder, self.to = epoch, folder, to

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            shutil.copytree(self.folder, self.to)


def check_resumed(make, callbacks, folder, *, stop, checkpoint_first=False):
    """Checks that a resumed training is the uninterrupted one, to the last digit.

    Args:
        make: Function that makes the compiled model.
        callbacks: Function that makes the callbacks.
        folder: A folder for the checkpoints.
        stop: Number of epochs before what was written is taken, as a kill leaves it.
        checkpoint_first: Whether checkpoints come before the callbacks.

    Returns:
        The resumed model.
    """
    found = []
    for name, seed in (("whole", 0), ("resumed", 99)):
        # Nothing of a resumed run may come from the global generator.
        keras.utils.set_random_seed(seed)
        model, own = make(), callbacks()
        carried = [each for each in own if hasattr(each, "set_state")]
        checkpoint = RunCheckpoint(folder / name, carried=carried)
        start = checkpoint.restore(model)
        assert start == (stop if name == "resumed" else 0)
        listed = [checkpoint, *own] if checkpoint_first else [*own, checkpoint]
        if name == "whole":
            listed.append(CopyAfter(stop, folder / name, folder / "resumed"))
        model.fit(
            batches.train_batches(SPLIT, batch_size=8, seed=0, initial_epoch=start),
            steps_per_epoch=3,
            epochs=EPOCHS,
            initial_epoch=start,
            callbacks=listed,
            verbose=0,
        )
        found.append((model, checkpoint.history, [each.state() for each in carried]))
    (whole, rows, states), (resumed, rows_again, states_again) = found
    assert rows == rows_again and len(rows) == EPOCHS
    for before, now in zip(_values(whole), _values(resumed), strict=True):
        np.testing.assert_array_equal(before, now)
    for before, now in zip(states, states_again, strict=True):
        assert before.keys() == now.keys()
        for name, array in before.items():
            np.testing.assert_array_equal(array, now[name], err_msg=name)
    return resumed


def _values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]
