"""The paper's results, in percent: mean test accuracy of the last 10 epochs.

They are from Yao et al., "Jo-SRC: A Contrastive Approach for Combating Noisy Labels",
CVPR 2021. Table 5, which judges the verdicts, is left out. The rows of Decoupling and
Co-teaching+ could not be checked against the paper a second time. The rows of Tables 3
and 4 could not be checked at all: they are Jo-SRC's as later papers cite them.
"""

SYMMETRIC_20, SYMMETRIC_50, SYMMETRIC_80 = (
    "symmetric-0.2",
    "symmetric-0.5",
    "symmetric-0.8",
)
ASYMMETRIC_40 = "asymmetric-0.4"
AS_GIVEN = "as-given"  # A real dataset's own labels.
_CELLS = (SYMMETRIC_20, SYMMETRIC_50, SYMMETRIC_80, ASYMMETRIC_40)


def _row(*values):
    return dict(zip(_CELLS, values, strict=True))


# The highest accuracy that SED, Jo-SRC and ACT are said to reach with `cnn7`, by table.
# It was not checked against the papers of SED and ACT.
BEST: dict = {
    1: _row(66.50, 51.26, 40.74, 63.48),
    2: _row(69.10, 58.51, 42.57, 64.40),
}
# Accuracy by table, method and cell. Table 3 is with ResNet-18.
ACCURACY: dict = {
    1: {
        "standard": _row(35.14, 16.97, 4.41, 27.29),
        "decoupling": _row(33.10, 15.25, 3.89, 26.11),
        "coteaching": _row(43.73, 34.96, 15.15, 28.35),
        "coteaching_plus": _row(49.27, 40.04, 13.44, 33.62),
        "jocor": _row(53.01, 43.49, 15.49, 32.70),
        "josrc": _row(58.15, 51.26, 23.80, 38.52),
    },
    2: {
        "standard": _row(29.37, 13.87, 4.20, 22.25),
        "decoupling": _row(43.49, 28.22, 10.01, 33.74),
        "coteaching": _row(60.38, 52.42, 16.59, 42.42),
        "coteaching_plus": _row(53.97, 46.75, 12.29, 43.01),
        "jocor": _row(59.99, 50.61, 12.85, 39.37),
        "josrc": _row(65.83, 58.51, 29.76, 53.03),
    },
    3: {"josrc": {AS_GIVEN: 71.78}},
    4: {"josrc": {AS_GIVEN: 86.66}},
    6: {
        "josrc-c": {SYMMETRIC_20: 57.12},
        "josrc-ci": {SYMMETRIC_20: 61.32},
        "josrc-cio": {SYMMETRIC_20: 63.10},
        "josrc": {SYMMETRIC_20: 65.83},
    },
}
