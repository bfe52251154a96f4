"""What training finds out about each sample, by its number in the dataset.

The compiled step writes into a table on the device, which has a row for each sample.
The callback `VerdictHistory` adds the table of each epoch to those of earlier epochs.
"""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from josrc_keras import _files
from josrc_keras.samples import numbering
from josrc_keras.samples.findings import AVERAGED, FIELDS, VERDICTS

EARLY = ("given_logit", "other_logit")
LAST = 10  # Epochs whose verdicts are kept one by one.
# Errors that NumPy raises for a file that is not one of its archives or is broken.
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


class SampleHistory:
    """What all epochs found about each sample, in arrays that fit a file.

    Args:
        count: Number of samples in the dataset.

    Attributes:
        epochs: `(N,)` int32: in how many epochs a sample was seen.
        early_epochs: `(N,)` int32: how many of these are in the first half of training.
        labels: `(N,)` int32 given labels, -1 for a sample never seen.
        sums: Dict of `(N,)` float64: the sum of each of `AVERAGED` over the epochs;
            for those in `EARLY`, over the first half of training.
        verdicts: `(N, LAST)` uint8, newest epoch last: 0 not seen, else 1 + the number
            of the verdict in `VERDICTS`.
    """

    def __init__(self, count: int) -> None:
        self.epochs = np.zeros(count, np.int32)
        self.early_epochs = np.zeros(count, np.int32)
        self.labels = np.full(count, -1, np.int32)
        self.sums = {name: np.zeros(count) for name in AVERAGED}
        self.verdicts = np.zeros((count, LAST), np.uint8)

    def __len__(self) -> int:
        """Number of samples in the dataset."""
        return len(self.epochs)

    def add(self, table: Any, *, early: bool) -> None:
        """Adds an epoch's findings.

        Args:
            table: What `EpochFindings.numpy` returns.
            early: Whether the epoch is in the first half of training.

        Raises:
            ValueError: If a sample's label is not the one that it had before.
        """
        columns = dict(zip(FIELDS, np.asarray(table, "float64").T, strict=True))
        seen = columns.pop("seen")  # It counts the replicas that saw a sample.
        columns = {name: each / np.maximum(seen, 1) for name, each in columns.items()}
        numbering.check_labels(self.labels, np.rint(columns["label"]), seen > 0)
        self.labels = np.where(seen > 0, np.rint(columns["label"]), self.labels)
        self.labels = self.labels.astype(np.int32)
        self.epochs += seen > 0
        self.early_epochs += (seen > 0) & early
        for name in AVERAGED:
            self.sums[name] += columns[name] * (early or name not in EARLY)
        verdict = np.argmax([columns[name] for name in VERDICTS], axis=0) + 1
        newest = np.where(seen > 0, verdict, 0).astype(np.uint8)
        self.verdicts = np.concatenate([self.verdicts[:, 1:], newest[:, None]], axis=1)

    def mean(self, name: str) -> np.ndarray:
        """`(N,)` mean over (early) epochs of one of `AVERAGED`; NaN if never seen."""
        epochs = self.early_epochs if name in EARLY else self.epochs
        return self.sums[name] / np.where(epochs, epochs, np.nan)

    def verdict_shares(self) -> dict[str, np.ndarray]:
        """Dict of `(N,)` in [0, 1]: how often each verdict was given lately.

        Of the last `LAST` epochs, those count in which the sample was seen. Without
        any the share is NaN.
        """
        seen = (self.verdicts > 0).sum(axis=1)
        seen = np.where(seen, seen, np.nan)
        return {
            name: (self.verdicts == number).sum(axis=1) / seen
            for number, name in enumerate(VERDICTS, start=1)
        }

    def arrays(self) -> dict[str, Any]:
        """The history as a dict of arrays, for `from_arrays`."""
        return {
            "epochs": self.epochs,
            "early_epochs": self.early_epochs,
            "labels": self.labels,
            "verdicts": self.verdicts,
            **self.sums,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Makes the history that `arrays()` returned.

        Raises:
            KeyError: If an array is missing.
            ValueError: If the arrays differ in length.
        """
        history = cls(len(arrays["epochs"]))
        history.epochs = np.asarray(arrays["epochs"], np.int32)
        history.early_epochs = np.asarray(arrays["early_epochs"], np.int32)
        history.labels = np.asarray(arrays["labels"], np.int32)
        history.verdicts = np.asarray(arrays["verdicts"], np.uint8)
        # Old histories lack this column.
        absent = np.zeros(len(arrays["epochs"]))
        arrays = {"other_prob": absent, **arrays}
        history.sums = {n: np.asarray(arrays[n], np.float64) for n in AVERAGED}
        lengths = {len(array) for array in history.arrays().values()}
        if len(lengths) != 1:
            raise ValueError(
                f"Expected arrays of one length. Received: lengths {sorted(lengths)}."
            )
        return history

    def save(self, path: str | os.PathLike) -> None:
        """Writes an `.npz` file, whole or not at all."""
        with _files.replacing(path) as beside, open(beside, "wb") as file:
            arrays = self.arrays()
            np.savez_compressed(file, **arrays, sha256=_checksum(arrays))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Reads what `save` wrote.

        Raises:
            OSError: If the file can't be read as a history.
        """
        try:
            with np.load(path) as stored:
                arrays = dict(stored)
            checksum = arrays.pop("sha256", None)  # Older files have none.
            if checksum is not None and not np.array_equal(checksum, _checksum(arrays)):
                raise ValueError("its checksum differs")
            history = cls.from_arrays(arrays)
            if not all(np.isfinite(each).all() for each in history.sums.values()):
                raise ValueError("it holds NaN or infinity")
            return history
        except BROKEN as error:
            raise OSError(
                "Expected the history of a training run. Received: "
                f"{path}, which can't be read ({type(error).__name__}: {error}). "
                "Delete it to "
                "audit without the history, or train again."
            ) from error


def _checksum(arrays):
    """SHA-256 of a dict of arrays, as an array of bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
