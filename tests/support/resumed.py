"""A training of a method that is stopped and resumed, beside one that is not."""

import keras
import numpy as np

from josrc_keras.callbacks import RunCheckpoint
from josrc_keras.data import Split, batches
from tests.support import steps
from tests.support.runs import StopAfter

IMAGES, LABELS = steps.batch(count=24)
LABELS = LABELS.astype("int64")
SPLIT = Split(IMAGES, LABELS, None, np.arange(24))
EPOCHS = 4


def check_resumed(make, callbacks, folder, *, stop, checkpoint_first=False):
    """Checks that a resumed training is the uninterrupted one, to the last digit.

    Args:
        make: Function that makes the compiled model.
        callbacks: Function that makes the callbacks.
        folder: A folder for the checkpoints.
        stop: Number of epochs before the training stops.
        checkpoint_first: Whether checkpoints come before the callbacks.

    Returns:
        The resumed model.
    """
    found = []
    for name, parts in (("whole", [EPOCHS]), ("parts", [stop, EPOCHS])):
        for until in parts:
            # Nothing of a resumed run may come from the global generator.
            resumes = name == "parts" and until == EPOCHS
            keras.utils.set_random_seed(99 if resumes else 0)
            model, own = make(), callbacks()
            carried = [each for each in own if hasattr(each, "set_state")]
            checkpoint = RunCheckpoint(folder / name, carried=carried)
            start = checkpoint.restore(model)
            listed = [checkpoint, *own] if checkpoint_first else [*own, checkpoint]
            model.fit(
                batches.train_batches(SPLIT, batch_size=8, seed=0, initial_epoch=start),
                steps_per_epoch=3,
                epochs=EPOCHS,
                initial_epoch=start,
                callbacks=[*listed, StopAfter(until)],
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
