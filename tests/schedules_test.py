import numpy as np
import pytest

from josrc_keras import schedules, selection
from tests.support import oracle

PAPER = {"tau_c": 0.75, "tau_m": 0.95, "warmup_epochs": 10, "epochs": 200}


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (1, 0.075),  # 1/10 of 0.75, not 0: epochs count from 1.
        (5, 0.375),
        (10, 0.75),  # t_w: the end of the first line ...
        (11, 0.75 + 0.2 / 190),  # ... and 1 of 190 steps of the second.
        (105, 0.85),  # Half-way: 95 of 190.
        (200, 0.95),
        (250, 0.95),
        (0, 0.0),  # The published code's first epoch.
    ],
)
def test_clean_threshold_of_the_paper(epoch, expected):
    assert schedules.clean_threshold(epoch, **PAPER) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize(
    ("epoch", "warmup_epochs", "epochs", "expected"),
    [
        (0, 0, 4, 0.75),  # The published code's first epoch is t_w itself: tau_c.
        (1, 0, 4, 0.8),  # No warm-up: tau_c + 1/4 of 0.2.
        (4, 0, 4, 0.95),
        (1, 0, 1, 0.95),
        (1, 10, 5, 0.075),  # Shorter than the warm-up: it never ends.
        (5, 10, 5, 0.375),
        (4, 4, 4, 0.75),  # As long as the warm-up.
        (1, 1, 2, 0.75),
        (2, 1, 2, 0.95),
    ],
)
def test_clean_threshold_at_the_edges(epoch, warmup_epochs, epochs, expected):
    result = schedules.clean_threshold(
        epoch, tau_c=0.75, tau_m=0.95, warmup_epochs=warmup_epochs, epochs=epochs
    )
    assert result == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup_epochs", [1, 7, 39])
def test_clean_threshold_equals_oracle_and_never_falls(warmup_epochs):
    plan = {"tau_c": 0.6, "tau_m": 0.9, "warmup_epochs": warmup_epochs, "epochs": 40}
    result = [schedules.clean_threshold(t, **plan) for t in range(1, 41)]
    expected = [oracle.threshold(t, 0.6, 0.9, warmup_epochs, 40) for t in range(1, 41)]
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    assert np.all(np.diff(result) > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_c": 0.96}, r"tau_c <= tau_m <= 1 .*Received: tau_c=0\.96, tau_m=0\.95"),
        ({"tau_c": -0.1}, r"0 <= tau_c.*Received: tau_c=-0\.1.*paper uses 0\.75 and 0"),
        ({"tau_m": 1.1}, r"Received: tau_c=0\.75, tau_m=1\.1\."),
        ({"epochs": 0}, r"`epochs` must be at least 1.*Received: epochs=0"),
        ({"warmup_epochs": -1}, r"at least 0\. Received: .*warmup_epochs=-1"),
    ],
)
def test_bad_threshold_plan_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        schedules.clean_threshold(1, **(PAPER | change))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(1, 1), (80, 1), (81, 1), (82, 119 / 120), (140, 61 / 120), (200, 1 / 120)],
)
def test_linear_decay_of_the_published_code(epoch, expected):
    """(200 - (epoch - 1)) / (200 - 80) from epoch 81 on: 0 would be epoch 201."""
    result = schedules.linear_decay(epoch, decay_start=80, epochs=200)
    assert result == pytest.approx(expected, abs=1e-12)


def test_linear_decay_at_the_edges():
    """Decay from the start: 4/4, 3/4, 2/4, 1/4, then nothing.

    Or no decay until the last epoch, and then nothing.
    """
    result = [schedules.linear_decay(e, decay_start=0, epochs=4) for e in range(1, 7)]
    np.testing.assert_allclose(result, [1, 0.75, 0.5, 0.25, 0, 0])
    result = [schedules.linear_decay(e, decay_start=3, epochs=3) for e in (1, 3, 4)]
    assert result == [1, 1, 0]


@pytest.mark.parametrize("decay_start", [-1, 11])
def test_bad_decay_start_is_refused(decay_start):
    message = rf"in \[0, epochs\]\. Received: decay_start={decay_start}, epochs=10"
    with pytest.raises(ValueError, match=message):
        schedules.linear_decay(1, decay_start=decay_start, epochs=10)


def contradiction(classes, smoothing, confidence):
    """The clean likelihood of that prediction, written out; label 0, predicted 1."""
    p = np.full((1, classes), (1 - confidence) / (classes - 1))
    p[0, 1] = confidence
    return p, oracle.smooth([0], classes, smoothing)


@pytest.mark.parametrize("confidence", [0.4, 0.9])
@pytest.mark.parametrize(
    ("classes", "smoothing"),
    [(2, 0.0), (2, 0.3), (8, 0.0), (8, 0.6), (14, 0.7), (80, 0.6), (1000, 0.5)],
)
def test_contradiction_likelihood_is_that_of_the_prediction(
    classes, smoothing, confidence
):
    p, y = contradiction(classes, smoothing, confidence)
    result = schedules.contradiction_likelihood(classes, smoothing, confidence)
    assert result == pytest.approx(oracle.clean_likelihood(p, y)[0], abs=1e-12)
    ours = selection.clean_likelihood(p, y)
    np.testing.assert_allclose(ours, [result], atol=1e-6)


@pytest.mark.parametrize(
    ("row", "expected"),
    [((8, 0.6), 0.841), ((8, 0.3), 0.651), ((80, 0.6), 0.647), ((100, 0.6), 0.639)],
)
def test_contradiction_likelihood_in_the_design(row, expected):
    """The column "0.4 on a wrong class" of DESIGN.md's table."""
    assert schedules.contradiction_likelihood(*row) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("tau_c", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("classes", [2, 8, 14, 80])
def test_largest_useful_smoothing_is_the_last_step_below_tau_c(classes, tau_c):
    """By trying each multiple of 0.05 that leaves the given class likeliest."""
    sure = 0.4 if classes > 2 else 0.6  # More than half, to contradict one of two.
    useful = [
        step / 20
        for step in range(1, 20)
        if step / 20 < (classes - 1) / classes
        and oracle.clean_likelihood(*contradiction(classes, step / 20, sure))[0] < tau_c
    ]
    result = schedules.largest_useful_smoothing(classes, tau_c)
    assert result == max(useful, default=0.0)


def test_with_two_classes_a_contradiction_is_of_more_than_half():
    p, y = contradiction(2, 0.05, 0.6)
    expected = oracle.clean_likelihood(p, y)[0]
    assert schedules.contradiction_likelihood(2, 0.05) == pytest.approx(expected)
    assert schedules.largest_useful_smoothing(2, 0.75) == 0.05


def test_largest_useful_smoothing_on_both_sides_of_the_papers_value():
    """Eight classes need less than the paper's 0.6 at tau_c = 0.75, eighty do not."""
    assert schedules.largest_useful_smoothing(8, 0.75) < 0.6
    assert schedules.largest_useful_smoothing(80, 0.75) >= 0.6
    assert schedules.largest_useful_smoothing(8, 0.01) == 0.0


@pytest.mark.parametrize(
    ("classes", "tau_c", "expected"),
    [
        (8, 0.75, 0.3),  # Three quarters of 0.4: as chosen for the digits.
        (80, 0.75, 0.6),  # Three quarters of 0.85 are more than the paper's.
        (8, 0.01, 0.1),  # None is useful.
    ],
)
def test_smoothing_by_the_number_of_classes(classes, tau_c, expected):
    assert schedules.smoothing_for(classes, tau_c) == pytest.approx(expected)


@pytest.mark.parametrize("tau_c", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("classes", [2, 3, 5, 14, 40, 1000])
def test_the_smoothing_tells_a_contradiction(classes, tau_c):
    """Its likelihood stays below tau_c, where any smoothing of 0.1 or more does so."""
    smoothing = schedules.smoothing_for(classes, tau_c)
    assert 0.1 <= smoothing <= 0.6
    assert smoothing < (classes - 1) / classes  # The given class is the likeliest.
    least = oracle.clean_likelihood(*contradiction(classes, 0.1, 0.4))[0]
    if least < tau_c:
        likelihood = oracle.clean_likelihood(*contradiction(classes, smoothing, 0.4))
        assert likelihood[0] < tau_c


def test_warmup_linear_by_hand():
    """Ten steps, two of which climb: the rate in the middle of each step."""
    schedule = schedules.WarmupLinear(0.4, 10, warmup_share=0.2)
    rates = [float(schedule(step)) for step in range(12)]
    climb = [0.4 * 0.05 / 0.2, 0.4 * 0.15 / 0.2]
    fall = [0.4 * (1 - (step + 0.5) / 10) / 0.8 for step in range(2, 10)]
    assert rates == pytest.approx([*climb, *fall, 0.0, 0.0], abs=1e-7)
    assert schedules.WarmupLinear.from_config(schedule.get_config())(3) == schedule(3)
    assert float(schedules.WarmupLinear(1.0, 4, 0.0)(0)) == pytest.approx(0.875)


@pytest.mark.parametrize("arguments", [(0.0, 10, 0.2), (0.1, 0, 0.2), (0.1, 10, 1.0)])
def test_warmup_linear_refuses(arguments):
    with pytest.raises(ValueError, match=r"positive peak.*Received: peak=0\."):
        schedules.WarmupLinear(*arguments)
