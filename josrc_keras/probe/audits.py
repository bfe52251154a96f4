"""Audits without training a network: of photos, of features, of predictions."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import logging

from josrc_keras.probe import backbone as backbones
from josrc_keras.probe import checks, duplicates, head, listing, projection, verdicts
from josrc_keras.probe import features as passes

if TYPE_CHECKING:
    import pandas


def of_predictions(
    probs: Any,
    labels: Any,
    features: Any = None,
    *,
    ids: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> "pandas.DataFrame":
    """Audits labels by what any model predicted of samples that it had not seen.

    Args:
        probs: `(N, C)` probabilities of a model that was not trained on the sample's
            label, as of cross-validation. Rows sum to 1.
        labels: `(N,)` given labels: integers in [0, C), or names of `class_names`.
        features: `(N, F)` float features of the samples, by which neighbours are found,
            or None.
        ids: `(N,)` names of the samples; None numbers them.
        class_names: `(C,)` names of the classes; None numbers them.
        seed: Seed of the intervals.

    Returns:
        A `pandas.DataFrame` with a row for each sample, in the order given, and the
        columns of `audit.audit`, where

        - `label_score` is calibrated: of samples with 0.3 about 30% are right;
        - `verdict` may be `"undecided"`: the label is probably wrong, and it is open
          whether another class is right or none;
        - `ood_share` is the calibrated probability that no class is right, and
          `ood_score` ranks by it;
        - `paper_verdict` is the verdict of the paper's criteria (eqs. 3 and 4), where
          there are several views, else empty.

        `table.attrs["estimates"]` is a dict of rates with 95% intervals, see
        `probe.verdicts.estimates_of`, and of how many samples to `check`.

    Raises:
        ImportError: If pandas or scikit-learn is not installed.
        ValueError: If the arguments do not fit.
    """
    probs = checks.probs(probs)
    labels, names = checks.labels(labels, class_names, probs.shape[1])
    features = checks.features(features, len(labels))
    checks.lengths(probs=probs, labels=labels, ids=ids)
    if features is not None and features.ndim == 3:
        features = features.mean(1)
    found = verdicts.Predictions(probs, labels, features=features)
    table, estimates = verdicts.table_of(found, names, _ids(ids, len(labels)), seed)
    table.attrs["estimates"] = estimates
    return table


def of_features(
    features: Any,
    labels: Any,
    *,
    ids: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> "pandas.DataFrame":
    """Audits labels by features of a frozen network, on which heads are trained.

    The heads are trained by the adaptive method in five folds (`probe.head`), so that
    each sample is judged by a head that has not seen its label.

    Args:
        features: `(N, F)` float, or `(N, V, F)`: V views of each sample.
        labels: `(N,)` given labels: integers in [0, C), or names.
        ids: As for `of_predictions`.
        class_names: `(C,)` names of the classes; None takes the names that occur, or
            numbers.
        seed: Seed of folds, training and intervals.

    Returns:
        As `of_predictions`.

    Raises:
        ImportError: If pandas or scikit-learn is not installed.
        ValueError: If the arguments do not fit, or there are fewer than 2 classes with
            2 samples each.
    """
    given = checks.features(features, None)
    labels, names = checks.labels(labels, class_names)
    checks.lengths(features=given, labels=labels, ids=ids)
    return _audited(given, labels, names, _ids(ids, len(labels)), seed).table


class Audited(NamedTuple):
    """An audit by features, and the head that was trained on all samples.

    Attributes:
        table: As `of_predictions` returns.
        probs: `(N, C)` of the heads that have not seen the labels.
        kernel: `(F, C)` float32: features times this, plus `bias`, are logits.
        bias: `(C,)` float32.
    """

    table: Any
    probs: Any
    kernel: Any
    bias: Any


class _Means:
    """Means of features over views, `(N, F)` float32, which are read by rows."""

    def __init__(self, views):
        self.views = views

    def __getitem__(self, rows):
        return np.asarray(self.views[rows], "float32").mean(1)


def _audited(features, labels, names, ids, seed, folder=None):
    views = features[:, None] if features.ndim == 2 else features
    judged = checks.judged(labels, names)
    projected = projection.fit(views, seed=seed)
    settings = head.Settings(seed=seed)
    found = head.cross_fit(
        projection.project(projected, views, folder), labels, len(names), settings
    )
    predictions = verdicts.Predictions(
        found.probs,
        labels,
        found.view_probs,
        _Means(views),
        judged,
    )
    table, estimates = verdicts.table_of(predictions, names, ids, seed)
    table.attrs["estimates"] = estimates
    kernel = projected.matrix @ found.kernel
    bias = found.bias - projected.mean @ kernel
    return Audited(table, found.probs, kernel, bias)


class PhotoAudit(NamedTuple):
    """An audit of photos.

    Attributes:
        audited: An `Audited`.
        seen: A `features.Pass`.
        class_names: Names of the classes.
    """

    audited: Audited
    seen: Any
    class_names: tuple


def of_photos(
    photos: str | os.PathLike,
    backbone: str = backbones.DEFAULT,
    *,
    features: str | os.PathLike,
    table: Any = None,
    seed: int = 0,
) -> "pandas.DataFrame":
    """Audits a folder of photos by the features of a pretrained backbone.

    Nothing is trained but heads on the features, which takes seconds. The features take
    about 60 ms of a core for a photo, once: they are kept, and a run that was stopped
    goes on where it was. `josrc-audit --photos=DIR` writes a report, too.

    Args:
        photos: The folder: `photos/CLASS/NAME.jpg`, at any depth below a class. With
            `table`, the folder that its paths are relative to.
        backbone: Name of the backbone, see `probe.backbone.load`.
        features: Folder in which features are kept, outside of `photos`.
        table: A CSV or Parquet file, or a `pandas.DataFrame`, with the columns `path`,
            `label` and perhaps `split`; None for class folders.
        seed: Seed of folds, training and intervals.

    Returns:
        As `of_predictions`, with the photos' paths as `id`, in their order, and the
        numbers of sets of near-duplicates as `duplicate_set`.

    Raises:
        ImportError: If a package is needed and not installed.
        OSError: If photos, weights or `features` can't be read or written.
        ValueError: If the folder or the table is not as described, or an argument does
            not fit.
    """
    return photo_audit(
        photos, backbone, features=features, table=table, seed=seed
    ).audited.table


def photo_audit(photos, backbone, *, features, table=None, seed=0):
    """A `PhotoAudit`; the arguments are those of `of_photos`."""
    listed, skipped = listing.read(photos, features, table)
    names = sorted({photo.label for photo in listed})
    checks.judged(np.array([names.index(p.label) for p in listed]), names, quiet=True)
    seen = passes.of_photos(listed, backbone, features)
    seen = seen._replace(skipped=[*skipped, *seen.skipped])
    names = sorted({photo.label for photo in seen.photos})
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[photo.label] for photo in seen.photos], np.int64)
    ids = np.array([photo.id for photo in seen.photos], object)
    audited = _audited(seen.features, labels, names, ids, seed, features)
    audited.table["duplicate_set"] = duplicates.near_duplicates(
        seen.hashes, seen.features
    )
    return PhotoAudit(audited, seen, tuple(names))


def audit_of(features, labels, class_names, source, folder):
    """An `Audited` of features as an audit of photos had them, with other labels.

    Args:
        features: `(N, V, F)` float: rows of a `features.Pass`.
        labels: `(N,)` integers in [0, C).
        class_names: `(C,)` names of the classes.
        source: A dict with the `seed` of that audit.
        folder: Folder of the features, in which a nameless file is made.
    """
    seed, names = int(source["seed"]), list(class_names)
    return _audited(features, labels, names, np.arange(len(labels)), seed, folder)


def look_at(photos, backbone, *, features, table=None, shard=None):
    """Looks at a part of the photos, so that processes share the work.

    Args:
        photos: As for `of_photos`.
        backbone: As for `of_photos`.
        features: As for `of_photos`: the same folder for all processes.
        table: As for `of_photos`.
        shard: `"3/8"` for the third of eight parts.
    """
    listed, _ = listing.read(photos, features, table)
    passes.of_photos(listed, backbone, features, shard)
    logging.info("Part %s of %d photos is looked at.", shard, len(listed))


def classifier(backbone, audited, class_names):
    """A network of backbone and head, from pixels in [0, 255] to logits.

    Args:
        backbone: Name of the backbone.
        audited: An `Audited`.
        class_names: Names of the classes, for the number of outputs.

    Returns:
        A `keras.Model` from `(N, size, size, 3)` to `(N, C)`.
    """
    import keras

    network = backbones.load(backbone)
    dense = keras.layers.Dense(len(class_names), dtype="float32", name="logits")
    features = dense(network.outputs[0])
    model = keras.Model(network.inputs[0], features, name="classifier")
    dense.set_weights([audited.kernel, audited.bias])
    return model


def _ids(ids, count):
    return np.arange(count) if ids is None else np.asarray(ids)


def default_features(output):
    """Folder of the features of an audit that is written to `output`."""
    return Path(output) / "features"
