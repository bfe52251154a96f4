"""The audit of a dataset: a table with a row for each sample."""

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import logging

from josrc_keras import _checks
from josrc_keras.audit import neighbours, scores
from josrc_keras.audit.predictions import of_all, same_views
from josrc_keras.samples.findings import VERDICTS

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "id",
    "given_label",
    "given_name",
    "verdict",
    "is_label_issue",
    "label_score",
    "clean_likelihood",
    "ood_score",
    "predicted_label",
    "predicted_name",
    "predicted_probability",
    *(f"{name}_share" for name in VERDICTS),
    "duplicate_set",
)


def audit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    ids: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    history: bool = True,
    view_pairs: int = 4,
    batch_size: int = 256,
) -> "pandas.DataFrame":
    """What a trained model knows about each sample's label.

    The data is read batch by batch, and only some numbers of each sample are kept, so
    the dataset may be larger than memory.

    The columns, in the order of `COLUMNS`:

    - `id`: from `ids`, or the number in the dataset.
    - `given_label`, `given_name`: the label as it stands.
    - `verdict`: `"clean"`, `"in_distribution_noise"` (another class is right) or
      `"out_of_distribution"` (none is). Audits of other kinds may have `"undecided"`,
      too: the label looks wrong, but it is open whether another class is right.
    - `is_label_issue`: whether the verdict is not clean: `label_score` is below 0.5.
    - `label_score`: from 0 (wrong) to 1 (right), see `audit.scores.label_score`. Of a
      model with a `label_likelihood`, such as `DivideMix`, it is what that method knows
      of each label. Of `JoSRC` it is
      computed from the mean probability of the given label over the epochs of training
      if they were recorded (`callbacks.VerdictHistory`), and from the teacher's on the
      views where they were not, or where a short training knew less than the teacher
      does now (`audit.scores.weighed`).
    - `clean_likelihood`: eq. 3 of the paper, the student's mean over the views, in
      [0, 1]. A confident right prediction does not have a high likelihood.
      Other methods have no teacher and no smoothing: their student takes its place.
    - `ood_score`: evidence that the image is out-of-distribution, from 0 to 1, see
      `audit.scores.ood_score`.
    - `predicted_label`, `predicted_name`, `predicted_probability`: the class that the
      teacher suggests, which may be the given one, and its mean probability over the
      views. With smoothed labels in training, that probability is too low.
    - `clean_share`, `in_distribution_share`, `out_of_distribution_share`: how often
      training gave each verdict in the last ten epochs, by the paper's criteria (C3.1,
      C3.2) or, in the adaptive method, by its trust; NaN without a history.
    - `duplicate_set`: the same number for images with equal pixels; -1 for all other
      images, and for views.

    `given_label`, `predicted_label`, `is_label_issue` and `label_score` are named as in
    cleanlab, whose `label_quality` has the same direction.

    Args:
        model: A trained `JoSRC` or `AdaptiveJoSRC` model, or a compared method with a
            `label_likelihood`: `CleanNet`, `DeepSelf`, `DivideMix`, `JointOptim`,
            `MCorrection` or `Pencil`.
        x: Images `(N, H, W, channels)`, or a dataset of batches of `(image, label)`
            that yields the same order each time, which is checked. A dataset whose
            labels are `{"label", "index"}` may yield any order: the rows are sorted by
            index.
        y: Labels, where `x` is images: integers, one-hot rows, or a dict as for `fit`.
        ids: `(N,)` names of the samples, such as paths, or None.
        class_names: Names of the C classes, or None.
        history: Whether to use what training found of each sample, if it was kept.
            Pass False for a dataset that the model was not trained on.
        view_pairs: Number of pairs of views, at least 1.
        batch_size: Samples per batch, for arrays.

    Returns:
        A `pandas.DataFrame` with a row for each sample, in dataset order.

    Raises:
        ImportError: If pandas is not installed.
        TypeError: If the model has no history of samples, as `JoSRC` has, or the data
            can be read only once.
        ValueError: If the data is not what the model was trained on, its order is not
            known, or an argument does not fit.
    """
    part = Part(x, y, ids, history)
    return audit_parts(
        model,
        [part],
        class_names=class_names,
        view_pairs=view_pairs,
        batch_size=batch_size,
    )


class Part(NamedTuple):
    """Arguments of `audit` for a part of a dataset."""

    x: Any
    y: Any
    ids: Any
    history: bool


def audit_parts(
    model,
    parts,
    *,
    class_names=None,
    view_pairs=4,
    batch_size=256,
    tell=lambda done: None,
):
    """Audits a dataset of which only a part was trained on; see `audit`.

    Args:
        model: As for `audit`.
        parts: A list of `Part`s. Those without a history are scored on the scale of
            the first one that has one (`scores.on_scale_of`).
        class_names: As for `audit`.
        view_pairs: As for `audit`.
        batch_size: As for `audit`.
        tell: Function that is told after each batch how many samples of all parts are
            predicted.

    Returns:
        A `pandas.DataFrame`: the rows of the parts, one after the other.
    """
    pandas = _pandas()
    judges = hasattr(model, "label_likelihood")
    if not judges and not hasattr(model, "sample_history"):
        raise TypeError(
            "An audit asks a JoSRC model, which has a teacher and sorts samples, or "
            "one with a `label_likelihood`. Received: a "
            f"{type(model).__name__}. Train a JoSRC."
        )
    for name, number in (("view_pairs", view_pairs), ("batch_size", batch_size)):
        if not isinstance(number, Integral) or number < 1:
            raise ValueError(
                f"Expected {name} as an integer of at least 1. Received: "
                f"{name}={number}."
            )
    names = _class_names(class_names, model.num_classes)
    tables, fingerprints, reference, before = [], [], None, 0
    for part in parts:
        with same_views(model.augmentation):
            found = of_all(
                model,
                part.x,
                part.y,
                view_pairs,
                batch_size,
                lambda done, before=before: tell(before + done),
            )
        before += len(found["label"])
        _warn_if_untrained(found, model.num_classes)
        past = getattr(model, "sample_history", None) if part.history else None
        if past is not None:
            _check_history(past, found["label"])
        asks = judges and part.history
        score = _judged(model, found) if asks else _label_score(found, past)
        known = asks or past is not None
        if known and reference is None:
            reference = score
        elif not known and reference is not None:
            score = scores.on_scale_of(score, reference)
        ids = _ids(part.ids, found["index"])
        tables.append(_table(found, past, score, names, ids))
        fingerprints.append(found["fingerprint"])
    table = pandas.concat(tables, ignore_index=True)
    table["duplicate_set"] = _duplicates(np.concatenate(fingerprints))
    return table[list(COLUMNS)]


def _warn_if_untrained(found, classes):
    """Warns where the network has learnt next to nothing of the labels."""
    agreement = float(np.mean(found["predicted"] == found["label"]))
    chance = np.bincount(found["label"], minlength=classes).max() / len(found["label"])
    if agreement < chance + 0.1 * (1 - chance):
        logging.warning(
            "The network agrees with %.1f%% of the labels; always guessing the most "
            "frequent class would with %.1f%%. It has learnt too little for this audit "
            "to mean anything: train for more epochs.",
            100 * agreement,
            100 * chance,
        )


def _judged(model, found):
    """`(N,)` label scores by what the method knows of each sample."""
    count = getattr(model, "num_samples", None)
    index = found["index"].astype(np.int64)
    if count is not None and (len(index) != count or index.max() != count - 1):
        raise ValueError(
            f"Expected the {count} samples that the model was trained on. Received: "
            f"{len(index)}. Pass that dataset, or `history=False` to audit a different "
            "dataset by the model's present predictions."
        )
    labels = found["label"].astype(np.int64)
    return model.label_likelihood(labels, index, found["given_prob"])


def _label_score(found, past):
    """`(N,)` label scores, from the history of training and its end."""
    agrees = found["predicted"] == found["label"]
    now = scores.label_score(found["given_prob"], agrees)
    if past is None:
        return now
    probs = _filled(past.mean("given_prob"), found["given_prob"])
    score, weight = scores.weighed(scores.label_score(probs, agrees), now)
    if weight < 0.5:
        logging.warning(
            "The history of training calls far fewer labels wrong than the trained "
            "network does, as after a training of few epochs. The audit follows the "
            "network: the history's weight is %.2f. Train for more epochs.",
            weight,
        )
    return score


def _table(found, past, score, names, ids):
    agrees = found["predicted"] == found["label"]
    basis = {
        name: found[name] if past is None else _filled(past.mean(name), found[name])
        for name in ("given_logit", "other_logit")
    }
    ood = scores.ood_score(
        basis["given_logit"],
        basis["other_logit"],
        score,
        neighbours.belief(found["features"], score),
    )
    verdict = scores.verdicts(score, ood, agrees)
    columns = {
        "id": ids,
        "given_label": found["label"],
        "given_name": names[found["label"]],
        "verdict": verdict,
        "is_label_issue": verdict != scores.CLEAN,
        "label_score": score,
        "clean_likelihood": found["likelihood"].astype("float64"),
        "ood_score": ood,
        "predicted_label": found["predicted"].astype("int64"),
        "predicted_name": names[found["predicted"]],
        "predicted_probability": found["predicted_prob"].astype("float64"),
    }
    unknown = np.full(len(score), np.nan)
    shares = {} if past is None else past.verdict_shares()
    for name in VERDICTS:
        columns[f"{name}_share"] = shares.get(name, unknown)
    return _pandas().DataFrame(columns)


def _filled(past, now):
    """The history's means, or the values of now where a sample was never seen."""
    return np.where(np.isnan(past), now, past)


def _duplicates(fingerprints):
    """`(N,)`: the number of each image's set of equal images; -1 without such a set."""
    distinct, which, counts = np.unique(
        fingerprints, return_inverse=True, return_counts=True
    )
    repeated = (counts > 1) & (distinct > 0)
    numbers = np.where(repeated, np.cumsum(repeated) - 1, -1)
    return numbers[which]


def _class_names(names, count):
    if names is None:
        names = [str(number) for number in range(count)]
    if len(names) != count:
        raise ValueError(
            f"Expected a name for each of the model's {count} classes. Received: "
            f"{len(names)} class_names. Pass those that the model was trained with."
        )
    return np.array([str(name) for name in names], dtype=object)


def _ids(ids, index):
    if ids is None:
        return index
    ids = np.asarray(ids)
    if len(ids) != len(index):
        raise ValueError(
            f"Expected an id for each of the {len(index)} samples. Received: "
            f"{len(ids)} ids."
        )
    return ids


def _check_history(past, labels):
    """Raises a `ValueError` unless the history is of these samples, in this order."""
    recorded = past.labels
    if len(recorded) == len(labels):
        differ = (recorded >= 0) & (recorded != labels)
        if not differ.any():
            return
        reason = f"labels that differ in {int(differ.sum())} rows of {len(labels)}"
    else:
        reason = f"{len(labels)} samples; training recorded {len(recorded)}"
    raise ValueError(
        "Expected the dataset that the model was trained on, in the same order. "
        f"Received: {reason}. Pass that dataset unshuffled, or `history=False` to "
        "audit a different dataset by the model's present predictions."
    )


def _pandas():
    return _checks.imported("pandas", "An audit is a table of pandas", "report")
