"""The table of an epoch, and what all epochs found."""

import keras
import numpy as np
import pytest

from josrc_keras.samples import findings as samples_findings
from josrc_keras.samples.findings import EpochFindings
from josrc_keras.samples.history import SampleHistory


def columns(count, verdict="clean", label=1, value=0.5):
    """What `update_state` takes, the same for each sample."""
    names = (*samples_findings.AVERAGED, *samples_findings.NEWEST)
    found = {name: np.full(count, value) for name in names}
    found |= {
        name: np.full(count, name == verdict) for name in samples_findings.VERDICTS
    }
    return found | {"label": np.full(count, label)}


def table(rows, **named):
    """An epoch's table: `(seen, label, verdict, value)` by row, zeros elsewhere."""
    made = np.zeros((rows, len(samples_findings.FIELDS)), "float32")
    for row, (seen, label, verdict, value) in named.pop("of").items():
        fields = {"seen": 1, "label": label, verdict: 1}
        fields |= dict.fromkeys(samples_findings.AVERAGED, value)
        # A table is the sum over replicas, each of which may have seen the sample.
        made[row] = [seen * fields.get(name, 0) for name in samples_findings.FIELDS]
    return made


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_rows_are_written_where_they_belong(dtype):
    """By number, in any order; those not seen are zeros; a second time overwrites."""
    findings = EpochFindings(5)
    findings.update_state(np.array([3, 0], dtype), columns(2, "clean", label=7))
    later = columns(1, "out_of_distribution", label=7, value=-1.5)
    findings.update_state(np.array([3], dtype), later)
    found = dict(zip(samples_findings.FIELDS, findings.numpy().T, strict=True))
    np.testing.assert_array_equal(found["seen"], [1, 0, 0, 1, 0])
    np.testing.assert_array_equal(found["label"], [7, 0, 0, 7, 0])
    np.testing.assert_array_equal(found["clean"], [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(found["in_distribution"], np.zeros(5))
    np.testing.assert_array_equal(found["out_of_distribution"], [0, 0, 0, 1, 0])
    for name in (*samples_findings.AVERAGED, *samples_findings.NEWEST):
        np.testing.assert_array_equal(found[name], [0.5, 0, 0, -1.5, 0])


def test_clear_forgets_and_a_reset_of_all_metrics_does_not():
    """`evaluate` within an epoch resets every metric of the model."""
    findings = EpochFindings(3)
    findings.update_state([1, 9], columns(2))
    findings.reset_state()
    assert findings.variables[0][1, 0] == 1
    with pytest.raises(ValueError, match="1 out of range"):
        findings.numpy()
    findings.clear()
    np.testing.assert_array_equal(
        findings.numpy(), np.zeros((3, len(samples_findings.FIELDS)))
    )


@pytest.mark.parametrize(("index", "outside"), [([0, 3, 4], 2), ([-1, 1], 1)])
def test_a_number_out_of_range_is_refused(index, outside):
    """At the end of the epoch, with what to do."""
    findings = EpochFindings(3)
    findings.update_state(np.array(index), columns(len(index)))
    message = (
        rf"Expected each sample's number in \[0, 2\]\. Received: {outside} out of "
        r"range in this epoch\. Number the samples from 0 on, or pass VerdictHistory"
    )
    with pytest.raises(ValueError, match=message):
        findings.numpy()


def test_the_metric_shows_nothing_and_is_remade_from_its_config():
    findings = EpochFindings(4)
    assert findings.result() == {}
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(findings)
    )
    assert again.count == 4 and again.numpy().shape == (4, len(samples_findings.FIELDS))


def test_epochs_add_up():
    """Sample 0 in three epochs, 1 in two, 2 in the last one alone, 3 never.

    Two of the four epochs are early; logits are averaged over those, by hand.
    """
    found = SampleHistory(4)
    first = {0: (1, 5, "clean", 0.2), 1: (1, 6, "in_distribution", 0.4)}
    found.add(table(4, of=first), early=True)
    found.add(table(4, of={0: (1, 5, "clean", 0.6)}), early=True)
    found.add(table(4, of={}), early=False)
    # Two replicas saw sample 0, so that its row is twice as large.
    last = {
        0: (2, 5, "in_distribution", 0.7),
        1: (1, 6, "out_of_distribution", 0.6),
        2: (1, 0, "clean", 0.3),
    }
    found.add(table(4, of=last), early=False)

    assert len(found) == 4
    np.testing.assert_array_equal(found.epochs, [3, 2, 1, 0])
    np.testing.assert_array_equal(found.early_epochs, [2, 1, 0, 0])
    np.testing.assert_array_equal(found.labels, [5, 6, 0, -1])
    all_epochs, early = [0.5, 0.5, 0.3, np.nan], [0.4, 0.4, np.nan, np.nan]
    np.testing.assert_allclose(found.mean("given_prob"), all_epochs, rtol=1e-6)
    for name in ("given_logit", "other_logit"):
        np.testing.assert_allclose(found.mean(name), early, rtol=1e-6)
    shares = found.verdict_shares()
    np.testing.assert_allclose(shares["clean"], [2 / 3, 0, 1, np.nan])
    np.testing.assert_allclose(shares["in_distribution"], [1 / 3, 0.5, 0, np.nan])
    np.testing.assert_allclose(shares["out_of_distribution"], [0, 0.5, 0, np.nan])
    np.testing.assert_array_equal(found.verdicts[0, -4:], [1, 1, 0, 2])


def test_shares_are_of_the_last_ten_epochs():
    """Eleven clean, then four noisy: 6 of 10; the mean is over all fifteen."""
    found = SampleHistory(1)
    for epoch in range(15):
        verdict = "clean" if epoch < 11 else "in_distribution"
        found.add(table(1, of={0: (1, 0, verdict, epoch)}), early=epoch < 8)
    assert found.verdict_shares()["clean"] == [0.6]
    assert found.mean("given_prob") == [7.0]
    assert found.mean("other_logit") == [3.5]


@pytest.fixture
def filled():
    found = SampleHistory(3)
    of = {0: (1, 5, "clean", 0.1), 2: (1, 6, "out_of_distribution", 0.7)}
    found.add(table(3, of=of), early=True)
    return found


def assert_equal(ours, theirs):
    assert ours.arrays().keys() == theirs.arrays().keys()
    for name, array in ours.arrays().items():
        assert array.dtype == theirs.arrays()[name].dtype, name
        np.testing.assert_array_equal(array, theirs.arrays()[name], err_msg=name)


def test_round_trips(filled, tmp_path):
    """By arrays and by a file; what was read can be added to, the original stays."""
    assert_equal(SampleHistory.from_arrays(filled.arrays()), filled)
    filled.save(tmp_path / "history.npz")
    loaded = SampleHistory.load(tmp_path / "history.npz")
    assert_equal(loaded, filled)
    loaded.add(table(3, of={1: (1, 4, "clean", 1.0)}), early=False)
    np.testing.assert_array_equal(loaded.epochs, [1, 1, 1])
    np.testing.assert_array_equal(filled.epochs, [1, 0, 1])


def truncated(path):
    path.write_bytes(path.read_bytes()[:-30])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[80] ^= 255  # In the first array; the archive's own bytes may not matter.
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def absent(path):
    path.unlink()


def text(path):
    path.write_text("no archive")


def single_array(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def incomplete(path):
    np.savez(path, epochs=np.zeros(3))


def scalars(path):
    np.savez(path, **dict.fromkeys(SampleHistory(1).arrays(), np.float32(0)))


def uneven(path):
    np.savez(path, **(SampleHistory(3).arrays() | {"labels": np.zeros(2)}))


BREAK = (
    *(truncated, flipped, empty, absent, text),
    *(single_array, incomplete, scalars, uneven),
)


@pytest.mark.parametrize("spoil", BREAK)
def test_a_broken_file_is_refused(spoil, filled, tmp_path):
    path = tmp_path / "history.npz"
    filled.save(path)
    spoil(path)
    message = (
        r"Expected the history of a training run\. Received: .*history\.npz, which "
        r"can't be read \(\w+: .*\)\. Delete it to audit without the history, or train"
    )
    with pytest.raises(OSError, match=message):
        SampleHistory.load(path)


def test_a_file_is_written_whole_or_not_at_all(filled, tmp_path, monkeypatch):
    """A disk that fills up on the way leaves the file before it, and nothing else."""
    path = tmp_path / "history.npz"
    filled.save(path)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        SampleHistory(3).save(path)
    monkeypatch.undo()
    assert_equal(SampleHistory.load(path), filled)
    assert [each.name for each in tmp_path.iterdir()] == ["history.npz"]
