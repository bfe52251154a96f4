"""Saves what a run needs to continue as if it had never stopped."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from josrc_keras import _files
from josrc_keras.devices import replicas

SHARE = 0.05  # Share of the time that saving may take.


class RunCheckpoint(keras.callbacks.Callback):
    """Saves all state at the end of epochs, and restores it.

    The state is student, teacher, thresholds, optimizer, random seeds, the epoch and
    the history. A checkpoint is written beside its place and renamed. Its checksum is
    tested on loading, and a broken checkpoint is passed over for the one before it.
    Only the chief of several processes writes, and all must see the folder.

    ```python
    checkpoint = RunCheckpoint(
        "run/checkpoint",
        history_path="run/history.csv",
        carried=[each for each in callbacks if hasattr(each, "set_state")],
    )
    epoch = checkpoint.restore(model)  # 0 if there is nothing to resume
    model.fit(..., initial_epoch=epoch, callbacks=[*callbacks, checkpoint])
    ```

    A resumed run gets the numbers of an uninterrupted one only if the order of the data
    in an epoch depends on nothing but the epoch, as with `data.batches.train_batches`.
    `fit` on arrays shuffles them anew.

    Args:
        directory: Folder of the checkpoints.
        history_path: CSV file with a row for each epoch, or None.
        keep: Number of checkpoints that are kept, at least 1.
        every: Number of epochs from one save to the next, at least 1. None saves as
            often as takes a twentieth of the time, where epochs are short. The first
            epoch and the end of training are always saved.
        carried: Callbacks whose `state()`, a dict of arrays, belongs to the run, such
            as a `VerdictHistory` or a `LabelTrust`. They get it back through
            `set_state(arrays)`.

    Attributes:
        history: A list with a dict for each epoch: `epoch` counted from 1, and what
            `fit` reported.
        seconds: Wall time of the epochs that are done, over all resumptions.
        cpu_seconds: Time of all processor cores, over all resumptions.

    Raises:
        ValueError: If `keep` or `every` is below 1.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        history_path: str | os.PathLike | None = None,
        keep: int = 2,
        every: int | None = 1,
        *,
        carried: Iterable[keras.callbacks.Callback] = (),
    ) -> None:
        super().__init__()
        if keep < 1 or (every is not None and every < 1):
            raise ValueError(
                f"`keep` and `every` must be at least 1. Received: keep={keep}, "
                f"every={every}."
            )
        self.directory = Path(directory)
        self.history_path = history_path
        self.keep = keep
        self.every = every
        self.carried = tuple(carried)
        self.history: list[dict[str, Any]] = []
        self.seconds = self.cpu_seconds = 0.0
        self._since = _now()
        self._due = 0.0
        self._saved: int | None = None  # The newest epoch that is saved.
        self._restored = False
        # States of the carried callbacks at the end of the epoch.
        self._states: list[dict[str, Any]] = []
        self._broken: set[Path] = set()  # Folders that were passed over.

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into a compiled model.

        Args:
            model: A compiled model, made like the one that was saved.

        Returns:
            The number of epochs that are done: `initial_epoch` for `fit`.

        Raises:
            ValueError: If the checkpoint belongs to another model, or the processes
                that train together find different checkpoints.
            RuntimeError: If the newest checkpoint can't be read, which does not mean
                that it is broken.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if replicas.is_chief(model):
            _files.remove_unfinished(self.directory)
        self._restored = True
        folder, state, arrays = self._newest()
        # This comes first, since JAX refuses to assign what differs between processes.
        replicas.check_agreement(state["epoch"], "the number of epochs that are done")
        if folder is None:
            return 0
        _assign(model, _part(arrays, "model"), folder)
        for number, callback in enumerate(self.carried):
            callback.set_state(_part(arrays, f"carried{number}"))
        self.history[:] = [_by_names_of_now(row, model) for row in state["history"]]
        self.seconds = state["seconds"]
        self.cpu_seconds = state.get("cpu_seconds", 0.0)  # Older ones have none.
        self._saved = state["epoch"]
        if replicas.is_chief(model):
            self._write_history()
        return state["epoch"]

    def _newest(self):
        """`(folder, state, arrays)` of the newest whole checkpoint."""
        for folder in reversed(self._folders()):
            loaded = self._load(folder)
            if loaded is not None:
                return folder, *loaded
            self._broken.add(folder)
        return None, {"epoch": 0}, None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock.

        Raises:
            ValueError: If the folder holds another run's checkpoints.
        """
        if self._folders() and not self._restored:
            raise ValueError(
                "Expected an empty checkpoint folder, or a run that resumes. Received: "
                f"{self.directory}, which holds checkpoints. Call `restore(model)` "
                "first, or use another folder."
            )
        self._restored = True  # From now on, checkpoints in the folder are this run's.
        self._since = _now()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch to the history, and saves a checkpoint if it is due."""
        row = {k: np.asarray(v, "float64").tolist() for k, v in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, **row})
        before, self._since = self._since, _now()
        self.seconds += self._since[0] - before[0]
        self.cpu_seconds += self._since[1] - before[1]
        self._states = [callback.state() for callback in self.carried]
        if not replicas.is_chief(self.model):
            return
        self._write_history()
        if self._saved is None or self._is_due(epoch + 1):
            self._save()

    def _is_due(self, epoch):
        if self.every is None:
            return time.monotonic() >= self._due
        return epoch % self.every == 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Saves the last epoch if it is not saved yet."""
        unsaved = self.history and self.history[-1]["epoch"] != self._saved
        if unsaved and replicas.is_chief(self.model):
            self._save()

    def _save(self):
        start = time.monotonic()
        epoch = self.history[-1]["epoch"]
        arrays = {
            f"{index:04d}": _to_numpy(variable)
            for index, variable in enumerate(_variables(self.model))
        }
        for number, of_callback in enumerate(self._states):
            for name, array in of_callback.items():
                arrays[f"carried{number}/{name}"] = array
        saved = self.directory / f"epoch-{epoch:05d}"
        with _files.replacing(saved) as folder:
            folder.mkdir()
            np.savez(folder / "variables.npz", **arrays)
            state = {"epoch": epoch, "history": self.history}
            state |= {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
            state["sha256"] = _checksum(folder / "variables.npz", state)
            (folder / "state.json").write_text(json.dumps(state))
        # A broken checkpoint of a later epoch would count as the newest.
        for folder in self._broken - {saved}:
            shutil.rmtree(folder, ignore_errors=True)
        self._broken.clear()
        for folder in self._folders()[: -self.keep]:
            shutil.rmtree(folder)
        self._saved = epoch
        end = time.monotonic()
        self._due = end + (end - start) / SHARE

    def _folders(self):
        return sorted(self.directory.glob("epoch-*"))

    def _load(self, folder):
        """`(state, arrays)` of a checkpoint, or None if it is broken."""
        try:
            state = json.loads((folder / "state.json").read_text())
            stored = state.pop("sha256")
            if _checksum(folder / "variables.npz", state) != stored:
                raise ValueError("its checksum differs")
            with np.load(folder / "variables.npz") as stored:
                return state, dict(stored)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            return _pass_over(folder, error)
        except OSError as error:  # The checkpoint may be whole, and readable later.
            raise RuntimeError(
                f"Expected to read the checkpoint {folder}. Received: "
                f"{error.strerror or error}. Nothing was changed: run again to resume, "
                "or remove it to go on from the one before."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _pass_over(folder, error)

    def _write_history(self):
        if self.history_path is not None:
            _files.write_csv(self.history_path, self.history)


def _by_names_of_now(row, model):
    """Renames the results in an epoch's row that an old version wrote.

    Before version 0.2, `val_accuracy` was the student's accuracy for every model. Now a
    model that delivers its teacher reports the teacher's accuracy as `val_accuracy`,
    and the student's as `val_student_accuracy`.
    """
    if getattr(model, "delivers", None) != "teacher":
        return row
    if not any("teacher_accuracy" in name for name in row):
        return row
    names = {}
    for prefix in ("val_", "held_out_"):
        for measure in ("accuracy", "loss"):
            names[f"{prefix}{measure}"] = f"{prefix}student_{measure}"
            names[f"{prefix}teacher_{measure}"] = f"{prefix}{measure}"
    return {names.get(name, name): value for name, value in row.items()}


def _pass_over(folder, error):
    logging.warning("Passing over the checkpoint %s: %s", folder, error)


def _variables(model):
    """All variables of a compiled model except those of its metrics."""
    return [*model.variables, *model.optimizer.variables]


def _to_numpy(variable):
    """The value as an array that NumPy can store; bfloat16 as float32, exactly."""
    array = keras.ops.convert_to_numpy(variable)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _part(arrays, owner):
    """The arrays of the model, or those of a carried callback by their own names."""
    if owner == "model":
        return [arrays[name] for name in sorted(arrays) if "/" not in name]
    by_parts = {name.partition("/"): array for name, array in arrays.items()}
    return {name: array for (of, _, name), array in by_parts.items() if of == owner}


def _assign(model, arrays, folder):
    variables = _variables(model)
    stored, expected = [a.shape for a in arrays], [tuple(v.shape) for v in variables]
    if stored != expected:
        raise ValueError(
            f"The checkpoint {folder} belongs to another model. Received: {len(stored)}"
            f" variables; expected {len(expected)} of other shapes. Resume with the "
            "configuration that it was saved with, or use another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _checksum(path, state):
    """SHA-256 of the file of variables and of the state, as hexadecimal digits."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(state, sort_keys=True).encode())
    return digest.hexdigest()


def _now():
    """Seconds on the clock, and of all processor cores in this process."""
    return time.monotonic(), time.process_time()
