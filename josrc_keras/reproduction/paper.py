"""What the paper reports, in percent: mean test accuracy of the last 10 epochs.

Yao et al., "Jo-SRC: A Contrastive Approach for Combating Noisy Labels", CVPR 2021.
Table 5 judges the verdicts; its numbers are not repeated here.
"""

SYMMETRIC_20, SYMMETRIC_50, SYMMETRIC_80 = (
    "symmetric-0.2",
    "symmetric-0.5",
    "symmetric-0.8",
)
ASYMMETRIC_40 = "asymmetric-0.4"
_CELLS = (SYMMETRIC_20, SYMMETRIC_50, SYMMETRIC_80, ASYMMETRIC_40)


def _row(*values):
    return dict(zip(_CELLS, values, strict=True))


# Table, then method, then cell.
ACCURACY: dict = {
    1: {
        "standard": _row(35.14, 16.97, 4.41, 27.29),
        "josrc": _row(58.15, 51.26, 23.80, 38.52),
    },
    2: {
        "standard": _row(29.37, 13.87, 4.20, 22.25),
        "josrc": _row(65.83, 58.51, 29.76, 53.03),
    },
    6: {
        "josrc-c": {SYMMETRIC_20: 57.12},
        "josrc-ci": {SYMMETRIC_20: 61.32},
        "josrc-cio": {SYMMETRIC_20: 63.10},
        "josrc": {SYMMETRIC_20: 65.83},
    },
}
