"""What an audit says about the dataset as a whole."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from josrc_keras.audit import scores

if TYPE_CHECKING:
    import pandas

PAIRS = 50


def summarise(table: "pandas.DataFrame") -> dict[str, Any]:
    """Noise rates, classes, confused pairs and duplicates in an audit.

    The rates are shares of verdicts, including verdicts that are wrong.

    Args:
        table: The table that `audit` returned.

    Returns:
        A dict that JSON can hold:

        - `images` and `classes`, their numbers;
        - `noise_rate`, and its parts `in_distribution_rate`,
          `out_of_distribution_rate` and `undecided_rate`, in [0, 1];
        - `by_class`, the same rates of each given class;
        - `confused_pairs`, how many images of a given class should have which other
          label, largest numbers first, at most 50 pairs;
        - `duplicates`, sets of equal images with different labels;
        - `duplicate_images`, the number of images that equal at least one other image.
    """
    names = dict(zip(table["given_label"], table["given_name"], strict=True))
    names |= dict(zip(table["predicted_label"], table["predicted_name"], strict=True))
    by_class = [
        {
            "label": int(label),
            "name": names[label],
            "images": len(rows),
            **_rates(rows["verdict"]),
        }
        for label, rows in table.groupby("given_label", sort=True)
    ]
    return {
        "images": len(table),
        "classes": len(by_class),
        **_rates(table["verdict"]),
        "by_class": by_class,
        "confused_pairs": _confused(table, names),
        "duplicates": _contradictions(table),
        "duplicate_images": int((table["duplicate_set"] >= 0).sum()),
    }


def _rates(verdict):
    return {
        "noise_rate": float(np.mean(verdict != scores.CLEAN)),
        "in_distribution_rate": float(np.mean(verdict == scores.IN_DISTRIBUTION)),
        "out_of_distribution_rate": float(
            np.mean(verdict == scores.OUT_OF_DISTRIBUTION)
        ),
        "undecided_rate": float(np.mean(verdict == scores.UNDECIDED)),
    }


def _confused(table, names):
    noisy = table[table["verdict"] == scores.IN_DISTRIBUTION]
    counts = noisy.groupby(["given_label", "predicted_label"]).size()
    counts = counts.sort_values(ascending=False, kind="stable").head(PAIRS)
    return [
        {
            "given_label": int(given),
            "given_name": names[given],
            "predicted_label": int(predicted),
            "predicted_name": names[predicted],
            "images": int(count),
        }
        for (given, predicted), count in counts.items()
    ]


def _contradictions(table):
    """Sets of equal images whose labels differ."""
    repeated = table[table["duplicate_set"] >= 0]
    return [
        {
            "duplicate_set": int(number),
            "ids": [int(i) if isinstance(i, Integral) else str(i) for i in rows["id"]],
            "given_names": list(rows["given_name"]),
        }
        for number, rows in repeated.groupby("duplicate_set", sort=True)
        if rows["given_label"].nunique() > 1
    ]
