"""Kind: files of ours that were altered, and believed."""

import numpy as np
import pytest

from josrc_keras.samples.history import SampleHistory


def saved(path):
    history = SampleHistory(5)
    history.epochs += 3
    history.sums["given_prob"] += np.linspace(0.1, 0.9, 5)
    history.save(path)
    return dict(np.load(path))


def test_what_was_saved_is_read(tmp_path):
    arrays = saved(tmp_path / "history.npz")
    found = SampleHistory.load(tmp_path / "history.npz").arrays()
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("change", ["reversed", "nan"])
def test_altered_findings_are_refused(change, tmp_path):
    arrays = saved(tmp_path / "history.npz")
    values = arrays["given_prob"][::-1].copy()
    if change == "nan":
        values[2] = np.nan
    np.savez(tmp_path / "history.npz", **arrays | {"given_prob": values})
    with pytest.raises(OSError, match=r"its checksum differs"):
        SampleHistory.load(tmp_path / "history.npz")


def test_old_findings_without_a_checksum_are_finite(tmp_path):
    arrays = saved(tmp_path / "history.npz")
    arrays.pop("sha256")
    np.savez(tmp_path / "history.npz", **arrays)
    SampleHistory.load(tmp_path / "history.npz")
    arrays["given_prob"][0] = np.inf
    np.savez(tmp_path / "history.npz", **arrays)
    with pytest.raises(OSError, match=r"holds NaN or infinity"):
        SampleHistory.load(tmp_path / "history.npz")
