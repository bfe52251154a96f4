import numpy as np
import pytest

from josrc_keras import labels as labelling
from josrc_keras import selection
from tests.support import oracle

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", [2, 8, 80, 1000])
def test_likelihoods_equal_oracle(classes, dtype):
    rng = np.random.default_rng(classes)
    p, p_prime = rng.dirichlet(np.ones(classes), (2, 32)).astype(dtype)
    p_prime[:16] = p[:16]  # Half of them agree.
    y = oracle.smooth(rng.integers(classes, size=32), classes, 0.4).astype(dtype)

    clean = selection.clean_likelihood(p, y)
    assert clean.dtype == "float32"
    np.testing.assert_allclose(clean, oracle.clean_likelihood(p, y), **TOLERANCE)
    assert np.min(clean) >= 0 and np.max(clean) <= 1

    outside = selection.ood_likelihood(p, p_prime)
    assert outside.dtype == "float32"
    np.testing.assert_array_equal(outside, oracle.ood_likelihood(p, p_prime))
    assert 0 < np.mean(outside) < 1


def test_ood_likelihood_is_1_however_far_apart_the_classes_are():
    """Eq. 4 caps the difference of the indices: 0, 1, 2 and 3 become 0, 1, 1, 1."""
    first, second = np.eye(4)[[0, 0, 0, 0]], np.eye(4)[[0, 1, 2, 3]]
    np.testing.assert_array_equal(
        selection.ood_likelihood(first, second), [0.0, 1.0, 1.0, 1.0]
    )


def test_clean_likelihood_at_both_ends():
    """1 where the prediction is the label, 0 where the supports are disjoint."""
    labels = np.array([[1.0, 0.0], [0.25, 0.75], [1.0, 0.0]])
    probs = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
    np.testing.assert_allclose(
        selection.clean_likelihood(probs, labels), [1.0, 1.0, 0.0], **TOLERANCE
    )


# DESIGN.md: C, smoothing, then the clean likelihood of a prediction that is uniform,
# certain and right, 0.9 right, 0.4 on a wrong class, 0.9 on a wrong class.
WINDOW = [
    (8, 0.6, 0.927, 0.604, 0.786, 0.841, 0.432),
    (8, 0.3, 0.735, 0.831, 0.953, 0.651, 0.315),
    (14, 0.7, 0.934, 0.507, 0.704, 0.815, 0.376),
    (80, 0.6, 0.800, 0.604, 0.786, 0.647, 0.242),
    (100, 0.6, 0.794, 0.604, 0.786, 0.639, 0.236),
]


def predictions(classes):
    """The five predictions of `WINDOW`, for a sample whose given label is 0."""

    def confident(index, confidence):
        row = np.full(classes, (1 - confidence) / (classes - 1))
        row[index] = confidence
        return row

    rows = [(0, 1 / classes), (0, 1.0), (0, 0.9), (1, 0.4), (1, 0.9)]
    return np.array([confident(*row) for row in rows])


@pytest.mark.parametrize("row", WINDOW)
def test_clean_likelihood_is_a_window_of_confidence(row):
    classes, smoothing, *expected = row
    y = labelling.smooth_labels(np.zeros(5, int), classes, smoothing)
    result = np.asarray(selection.clean_likelihood(predictions(classes), y))
    np.testing.assert_allclose(result, expected, atol=0.0005 + 1e-6)


@pytest.mark.parametrize("inclusive", [False, True])
def test_select_partitions_by_both_conditions(inclusive):
    """At the threshold 0.5 only `inclusive` (the published code's >=) passes.

    Clean likelihoods 0.25, 0.5, 0.75, each with views that agree and that do not.
    """
    clean = np.array([0.25, 0.5, 0.75] * 2, "float32")
    outside = np.array([0.0] * 3 + [1.0] * 3, "float32")
    result = selection.select(clean, outside, tau_clean=0.5, inclusive=inclusive)
    middle = inclusive
    np.testing.assert_array_equal(
        result,
        [
            [False, middle, True, False, middle, True],
            [True, not middle, False, False, False, False],
            [False, False, False, True, not middle, False],
        ],
    )
    assert result._fields == ("clean", "in_distribution", "out_of_distribution")


def test_select_excludes_the_threshold_by_default():
    """The paper's C3.1 is a strict inequality: at 1 and at 0, the ends of the range."""
    result = selection.select([1.0, 0.0], [0.0, 0.0], tau_clean=1.0)
    np.testing.assert_array_equal(result.clean, [False, False])
    result = selection.select([1.0, 0.0], [0.0, 0.0], tau_clean=0.0)
    np.testing.assert_array_equal(result.clean, [True, False])


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("tau_ood", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("tau_clean", [0.0, 0.3, 1.0])
def test_masks_are_disjoint_and_covering(tau_clean, tau_ood, inclusive):
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 11, 200).astype("float32") / 10  # With ties and both ends.
    outside = rng.integers(0, 2, 200).astype("float32")
    result = selection.select(
        clean, outside, tau_clean=tau_clean, tau_ood=tau_ood, inclusive=inclusive
    )
    masks = np.stack([np.asarray(mask) for mask in result])
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks.sum(axis=0), np.ones(200))
    passes = clean >= np.float32(tau_clean) if inclusive else clean > tau_clean
    np.testing.assert_array_equal(masks[0], passes)
    np.testing.assert_array_equal(masks[2], ~passes & (outside == 1))


@pytest.mark.parametrize("tau_ood", [0, 1, -0.1, 1.5])
def test_tau_ood_that_can_not_separate_0_from_1_is_refused(tau_ood):
    message = rf"strictly between 0 and 1.*Received: tau_ood={tau_ood}\. Use 0\.5"
    with pytest.raises(ValueError, match=message):
        selection.select([0.5], [1.0], tau_clean=0.5, tau_ood=tau_ood)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), [False, False, False, False]),
        (("in_distribution",), [False, True, False, True]),
        (("out_of_distribution",), [False, False, True, False]),
        (selection.UNCLEAN, [False, True, True, True]),
        (("clean", "out_of_distribution"), [True, False, True, False]),
    ],
)
def test_union_of_kinds(kinds, expected):
    """One sample of each kind, and a second one of in-distribution noise."""
    kind = np.array([0, 1, 2, 1])
    selected = selection.Selection(*(kind == index for index in range(3)))
    result = np.asarray(selection.union(selected, kinds))
    assert result.dtype == bool
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "kinds", [(), ["out_of_distribution"], ["out_of_distribution", "in_distribution"]]
)
def test_check_unclean_makes_a_tuple(kinds):
    """Of a list too, which is what JSON makes of a tuple."""
    assert selection.check_unclean(kinds) == tuple(kinds)


@pytest.mark.parametrize(
    "kinds",
    ["in_distribution", "", ("clean",), [["id"]], None, {"in_distribution"}],
)
def test_check_unclean_refuses(kinds):
    """A lone text would be taken letter by letter; clean samples are never left out."""
    with pytest.raises(ValueError) as caught:
        selection.check_unclean(kinds)
    assert str(caught.value) == (
        "Expected `relabel` as a tuple of any of ('in_distribution', "
        f"'out_of_distribution'), or (). Received: relabel={kinds!r}. For one kind "
        "write ('in_distribution',)."
    )
