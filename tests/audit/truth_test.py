"""An audit against the truth: values by hand."""

import json

import numpy as np
import pandas
import pytest

from josrc_keras.audit import compare, scores

CLEAN, NOISY, FOREIGN, UNDECIDED = scores.VERDICTS


def table(given, score, ood, predicted, verdict):
    verdict = np.array(verdict)
    return pandas.DataFrame(
        {
            "given_label": given,
            "label_score": score,
            "ood_score": ood,
            "predicted_label": predicted,
            "verdict": verdict,
            "is_label_issue": verdict != CLEAN,
        }
    )


@pytest.fixture
def six():
    """Right, right, wrong twice and foreign twice: see `TRUTH`."""
    return table(
        given=[0, 1, 2, 0, 1, 2],
        score=[0.9, 0.3, 0.1, 0.6, 0.2, 0.4],
        ood=[0.1, 0.4, 0.2, 0.8, 0.7, 0.9],
        predicted=[0, 0, 1, 2, 0, 2],
        verdict=[CLEAN, NOISY, NOISY, CLEAN, FOREIGN, FOREIGN],
    )


TRUTH = np.array([0, 1, 1, 1, -1, -1])


def test_values_by_hand(six):
    """Wrong are rows 2 to 5, called wrong 1, 2, 4 and 5.

    By `label_score` rising the rows are 2, 4, 1, 5, 3, 0, wrong, wrong, right, wrong,
    wrong, right: of 8 pairs of a wrong and a right one 6 are in order, and the
    precisions at the wrong ones are 1, 1, 3/4, 4/5. By `ood_score` falling they are
    5, 3, 4, 1, 2, 0: of the 4 pairs among the wrong 3 are in order, of all 8 pairs 7.
    """
    found = compare(six, TRUTH)
    json.dumps(found)
    expected = {
        "label_auroc": 6 / 8,
        "label_average_precision": (1 + 1 + 3 / 4 + 4 / 5) / 4,
        "issue_precision": 3 / 4,
        "issue_recall": 3 / 4,
        "issue_f1": 3 / 4,
        "ood_auroc": 3 / 4,
        "ood_auroc_all": 7 / 8,
        "suggestion_accuracy": 1 / 2,
        "noise_rate": 4 / 6,
        "noise_rate_estimated": 4 / 6,
        "out_of_distribution_rate": 2 / 6,
        "out_of_distribution_rate_estimated": 2 / 6,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_quality_of_each_verdict(six):
    """Of two called clean one is, of two clean ones one is called so, and so on."""
    found = compare(six, TRUTH)["verdicts"]
    assert found[UNDECIDED] == {"precision": None, "recall": 0, "share": 0}
    assert list(found) == list(scores.VERDICTS)
    half = {"precision": 1 / 2, "recall": 1 / 2, "share": 2 / 6}
    assert found[CLEAN] == pytest.approx(half)
    assert found[NOISY] == pytest.approx(half)
    assert found[FOREIGN] == pytest.approx(
        {"precision": 1, "recall": 1, "share": 1 / 3}
    )


def test_undecided_is_measured_by_wrong_labels(six):
    """Rows 1 and 3 are called so; 3 is wrong, and one of the four wrong ones."""
    six.loc[[1, 3], "verdict"] = UNDECIDED
    found = compare(six, TRUTH)["verdicts"]
    assert found[UNDECIDED] == pytest.approx(
        {"precision": 1 / 2, "recall": 1 / 4, "share": 2 / 6}
    )
    assert found[NOISY]["precision"] == 1 and found[FOREIGN]["recall"] == 1


def test_nothing_wrong_and_nothing_found():
    """None where there is nothing to tell apart, and no warning from NumPy."""
    clean = table([0, 1], [0.9, 0.8], [0.1, 0.2], [0, 1], [CLEAN, CLEAN])
    with np.errstate(all="raise"):
        found = compare(clean, [0, 1])
    unknown = {name for name, value in found.items() if value is None}
    assert unknown >= {
        *("label_auroc", "label_average_precision", "issue_precision"),
        *("issue_recall", "ood_auroc", "ood_auroc_all", "suggestion_accuracy"),
    }
    assert found["noise_rate"] == found["noise_rate_estimated"] == 0
    json.dumps(found)


def test_all_foreign():
    foreign = table([0, 1], [0.1, 0.2], [0.9, 0.2], [1, 0], [FOREIGN, NOISY])
    found = compare(foreign, [-1, -1])
    assert found["label_auroc"] is found["suggestion_accuracy"] is None
    assert found["label_average_precision"] == found["issue_recall"] == 1
    assert found["out_of_distribution_rate_estimated"] == 0.5


@pytest.mark.parametrize("truth", [[0, 1], np.zeros((6, 1), int)])
def test_other_shapes_are_refused(truth, six):
    message = r"Expected a true label for each of the 6 rows\. Received: shape \("
    with pytest.raises(ValueError, match=message):
        compare(six, truth)
