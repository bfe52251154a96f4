"""How far a review is by the page: counts, precision, and what is left."""

import itertools

import numpy as np
import pytest

from tests.support.audit_tables import VERDICTS, make_findings, make_table

pandas = pytest.importorskip("pandas")


def calibrated(rows=900, seed=0, bias=0.0):
    """A table whose labels are right with the probability `label_score`, and which are.

    With a bias the audit is too sure, or too doubtful, of labels in the middle.
    """
    random = np.random.default_rng(seed)
    table = make_table(rows, seed=seed)
    score = random.beta(0.5, 0.5, rows) ** 0.4
    right = random.random(rows) < np.clip(score + bias * score * (1 - score), 0, 1)
    table["label_score"] = score.round(4)
    table["verdict"] = np.where(score < 0.5, VERDICTS[1], VERDICTS[0])
    return table, right


def decide(page, rows, right):
    """Decides rows rightly, without keys."""
    codes = [[int(row), 1 if right[row] else 2] for row in rows]
    page.evaluate("changes => change(changes)", codes)


def posterior_mean(table, rows, right):
    """The mean of what is left, by bins as the page's help says, without the order."""
    edges = [0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.55, 0.75, 1]
    order = np.argsort(table.label_score.to_numpy(), kind="stable")
    seen = np.zeros(len(table), bool)
    seen[rows] = True
    left = 0
    for low, high in itertools.pairwise(edges):
        part = order[round(low * len(order)) : round(high * len(order))]
        prior = np.clip((1 - table.label_score.to_numpy()[part]).mean(), 0.02, 0.98)
        known = part[seen[part]]
        share = (2 * prior + (~right[known]).sum()) / (2 + len(known))
        left += share * (~seen[part]).sum()
    return left


def test_counts_and_precision_of_the_flags(show):
    table, right = calibrated(300)
    page = show(table)
    flagged = np.flatnonzero(table.verdict != VERDICTS[0])
    decide(page, flagged[:40], right)
    wrong = int((~right[flagged[:40]]).sum())
    text = page.locator("#precision").inner_text()
    assert text == (
        f"Of 40 flags looked at, {wrong} were right ({100 * wrong / 40:.0f}%)."
    )
    assert (
        page.locator("#done")
        .inner_text()
        .startswith(
            f"40 decided: {40 - wrong} keep, {wrong} none of these. {len(flagged)} look"
        )
    )
    page.evaluate("row => change([[row, UNSURE]])", int(flagged[40]))
    assert page.locator("#precision").inner_text() == text  # Unsure says nothing.


def test_the_estimate_is_near_the_posterior_mean(show):
    """With decisions in each bin the order of the shares changes little."""
    table, right = calibrated(4000)
    page = show(table)
    rows = np.random.default_rng(3).permutation(4000)[:2000]
    decide(page, rows, right)
    middle, low, high = page.evaluate("estimateLeft()")
    expected = posterior_mean(table, rows, right)
    assert abs(middle - expected) < 0.06 * expected
    assert low < expected < high
    page.wait_for_timeout(300)
    assert page.locator("#left").inner_text() == (
        f"About {middle} wrong labels are left, with 95% probability {low} to {high}."
    )


def test_the_interval_covers_what_is_left(show):
    """Worst first, as a person reviews, also where the audit's scores are off."""
    covered = []
    for bias in (0, 0.5, -0.5):
        for seed in range(2):
            table, right = calibrated(900, seed, bias)
            page = show(table, make_findings(table))
            rows = np.argsort(table.label_score.to_numpy(), kind="stable")[:200]
            decide(page, rows, right)
            _, low, high = page.evaluate("estimateLeft()")
            left = int((~right).sum() - (~right[rows]).sum())
            covered.append(low <= left <= high)
            page.close()
    assert sum(covered) >= 5  # Of 6.


def test_falling_shares(show):
    """Pooled neighbours, by hand: 0.2 and 0.6 of equal weight are 0.4 each."""
    page = show(make_table(10))
    even = page.evaluate("falling([0.9, 0.2, 0.6, 0.1], [1, 1, 1, 1])")
    np.testing.assert_allclose(even, [0.9, 0.4, 0.4, 0.1])
    even = page.evaluate("falling([0.1, 0.5, 0.9], [2, 1, 1])")
    np.testing.assert_allclose(even, [0.4, 0.4, 0.4])


def test_beta_and_binomial_draws(show):
    """Mean and variance of 20,000 draws: a beta of 2 and 5, and 80 times 0.3."""
    page = show(make_table(10))
    draws = page.evaluate(
        """() => {
            const random = makeRandom(1);
            const many = (draw) => Array.from({length: 20000}, draw);
            return [
                many(() => drawBeta(2, 5, random)),
                many(() => drawBinomial(9, 0.3, random)),
                many(() => drawBinomial(80, 0.3, random)),
            ];
        }"""
    )
    expected = [(2 / 7, 10 / 49 / 8), (2.7, 1.89), (24, 16.8)]
    for values, (mean, variance) in zip(draws, expected, strict=True):
        np.testing.assert_allclose(np.mean(values), mean, rtol=0.02)
        np.testing.assert_allclose(np.var(values), variance, rtol=0.06)
