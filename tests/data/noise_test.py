import numpy as np
import pytest

from josrc_keras.data import noise

CHECKSUM = "8f7054e917584a0e211394aac4377f43176636fdc3269712c8bc4cb05345ea59"


def test_transition_matrices_as_drawn():
    """C = 4, n = 0.3: 0.7 stays; 0.1 to each other class, or 0.3 to the next."""
    np.testing.assert_allclose(
        noise.transition_matrix("symmetric", 4, 0.3),
        [
            [0.7, 0.1, 0.1, 0.1],
            [0.1, 0.7, 0.1, 0.1],
            [0.1, 0.1, 0.7, 0.1],
            [0.1, 0.1, 0.1, 0.7],
        ],
    )
    np.testing.assert_allclose(
        noise.transition_matrix("pairflip", 4, 0.3),
        [
            [0.7, 0.3, 0.0, 0.0],
            [0.0, 0.7, 0.3, 0.0],
            [0.0, 0.0, 0.7, 0.3],
            [0.3, 0.0, 0.0, 0.7],
        ],
    )
    block = noise.transition_matrix("pairflip", 5, 0.3)
    np.testing.assert_allclose(
        noise.transition_matrix("blockflip", 10, 0.3), np.kron(np.eye(2), block)
    )


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("classes", [5, 80, 100])
@pytest.mark.parametrize("kind", noise.KINDS)
def test_transition_matrix_is_a_distribution_that_keeps_1_minus_rate(
    kind, classes, rate
):
    matrix = noise.transition_matrix(kind, classes, rate)
    assert matrix.shape == (classes, classes)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), np.ones(classes), rtol=1e-12)
    np.testing.assert_allclose(matrix.sum(axis=0), np.ones(classes), rtol=1e-12)
    np.testing.assert_allclose(matrix.diagonal(), 1 - rate, atol=1e-12)


@pytest.mark.parametrize("rate", [0.2, 0.8])
@pytest.mark.parametrize("kind", noise.KINDS)
def test_rates_are_within_binomial_bounds(kind, rate):
    """50,000 labels, 5,000 a class: each share within 5 standard deviations.

    `sqrt(T (1 - T) / 5000)`, so what is impossible must not occur at all.
    """
    labels = np.tile(np.arange(10), 5000)
    given = noise.corrupt(labels, kind=kind, num_classes=10, rate=rate, seed=0)
    assert given.dtype == np.int64
    shares = np.zeros((10, 10))
    np.add.at(shares, (labels, given), 1 / 5000)
    expected = noise.transition_matrix(kind, 10, rate)
    bound = 5 * np.sqrt(expected * (1 - expected) / 5000) + 1e-9
    assert np.all(np.abs(shares - expected) <= bound)
    wrong = np.mean(given != labels)
    assert wrong == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / 50_000))


@pytest.mark.parametrize("kind", noise.KINDS)
def test_no_noise_and_nothing_but_noise(kind):
    labels = np.tile(np.arange(10), 100)
    clean = noise.corrupt(labels, kind=kind, num_classes=10, rate=0.0, seed=0)
    np.testing.assert_array_equal(clean, labels)
    wrong = noise.corrupt(labels, kind=kind, num_classes=10, rate=1.0, seed=0)
    if kind == "symmetric":
        assert not np.any(wrong == labels)
    else:
        size = {"pairflip": 10, "blockflip": 5}[kind]
        following = labels // size * size + (labels % size + 1) % size
        np.testing.assert_array_equal(wrong, following)


def test_each_label_is_the_inverse_of_the_cumulative_row_at_its_draw():
    """Sample i uses draw i, whatever its class; an OOD one divides [0, 1) evenly."""
    labels = np.random.default_rng(5).integers(-1, 12, size=500)
    draws = np.random.default_rng(3).random(500)
    matrix = noise.transition_matrix("symmetric", 10, 0.4)
    expected = []
    for label, draw in zip(labels, draws, strict=True):
        row = matrix[label] if 0 <= label < 10 else np.full(10, 0.1)
        given, passed = 0, row[0]
        while draw >= passed and given < 9:
            given += 1
            passed += row[given]
        expected.append(given)
    result = noise.corrupt(labels, kind="symmetric", num_classes=10, rate=0.4, seed=3)
    np.testing.assert_array_equal(result, expected)


def small_case(seed=7):
    labels = np.array([*range(10), *range(10), -1, 10, 99])
    return noise.corrupt(labels, kind="symmetric", num_classes=10, rate=0.4, seed=seed)


def test_labels_of_a_seed_never_change():
    """Frozen: another draw would silently change every published benchmark."""
    given = small_case()
    assert given.tolist() == [
        *(1, 7, 4, 3, 4, 7, 0, 7, 8, 9),
        *(0, 1, 2, 3, 4, 5, 9, 7, 8, 9),
        *(2, 1, 6),
    ]
    assert noise.checksum(given) == CHECKSUM
    assert noise.checksum(given.astype(">i4")) == CHECKSUM  # Of values, not of bytes.
    assert noise.checksum(given[::-1]) != CHECKSUM
    assert noise.checksum(small_case(seed=8)) != CHECKSUM


@pytest.mark.parametrize("kind", noise.KINDS)
def test_a_subset_keeps_its_labels(kind):
    labels = np.random.default_rng(0).integers(0, 12, size=1000)
    options = {"kind": kind, "num_classes": 10, "rate": 0.5, "seed": 1}
    whole = noise.corrupt(labels, **options)
    np.testing.assert_array_equal(noise.corrupt(labels, **options), whole)
    np.testing.assert_array_equal(noise.corrupt(labels[:137], **options), whole[:137])
    # A sample's label does not depend on the others' classes either.
    other = labels.copy()
    other[::2] = 3
    np.testing.assert_array_equal(noise.corrupt(other, **options)[1::2], whole[1::2])


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_out_of_distribution_images_get_any_label_alike(rate):
    """10,000 over 80 classes, 125 each: chi-square of 79 degrees is 79 +- 12.6.

    The bound is 5 standard deviations up.
    """
    labels = np.tile(np.arange(100), 500)
    given = noise.corrupt(labels, kind="symmetric", num_classes=80, rate=rate, seed=0)
    counts = np.bincount(given[labels >= 80], minlength=80)
    assert counts.shape == (80,)
    assert counts.sum() == 10_000
    assert ((counts - 125) ** 2 / 125).sum() < 79 + 5 * np.sqrt(2 * 79)
    # No OOD class prefers a label: 500 of each over 4 quarters, 125 each.
    for ood in range(80, 100):
        quarters = np.bincount(given[labels == ood] // 20, minlength=4)
        assert ((quarters - 125) ** 2 / 125).sum() < 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "asymmetric"}, r"Received: 'asymmetric'\. Use one of \('symmetric'"),
        ({"rate": 1.1}, r"rate must be in \[0, 1\]\. Received: rate=1\.1"),
        ({"rate": -0.1}, r"rate must be in \[0, 1\]\. Received: rate=-0\.1"),
        ({"num_classes": 1}, r"at least two classes .*Received: num_classes=1\."),
        (
            {"kind": "blockflip", "num_classes": 8},
            r"blocks of 5 classes\. Received: num_classes=8, not .*Use 'pairflip'",
        ),
    ],
)
def test_bad_arguments_are_refused(change, message):
    options = {"kind": "symmetric", "num_classes": 10, "rate": 0.2, "seed": 0}
    with pytest.raises(ValueError, match=message):
        noise.corrupt(np.arange(5), **(options | change))
