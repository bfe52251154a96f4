"""What student and teacher predict of each sample, on several pairs of views."""

import contextlib

import keras
import numpy as np
from keras import ops

from josrc_keras import _runtime, selection
from josrc_keras import labels as label_distributions
from josrc_keras.audit import reading
from josrc_keras.networks import features
from josrc_keras.samples import evidence

KEPT = 64  # The largest number of features that are kept of a sample.


class Predictions(keras.Model):
    """Predicts a batch on several pairs of views, and keeps what an audit needs.

    Without an augmentation it sees each image once, as it is.

    Args:
        model: A `JoSRC` or `AdaptiveJoSRC` model, or one with a `label_likelihood`,
            whose student takes the place of a teacher.
        view_pairs: Number of pairs of views, at least 1.
    """

    def __init__(self, model, view_pairs):
        super().__init__()
        self.student = model.student
        network = getattr(model, "teacher", model.student)
        self.teacher, width = features.with_last_inputs(network)
        # A random projection takes less memory and hardly changes the neighbours.
        random = np.random.default_rng(0).normal(size=(width, KEPT)) / KEPT**0.5
        self.projection = random.astype("float32") if width > KEPT else None
        self.augmentation = model.augmentation
        self.num_classes = model.num_classes
        self.smoothing = getattr(model, "smoothing", 0.0)
        self.view_pairs = view_pairs
        self.built = True

    def call(self, inputs):
        """A dict of `(N,)`, each the mean over the views.

        `given_prob`, `given_logit`, `other_logit` (`evidence`), `predicted`,
        `predicted_prob` and `features` `(N, F)` are the teacher's; `likelihood` (eq. 3)
        is the student's.
        """
        labels = inputs["label"]
        smooth = label_distributions.smooth_labels(
            labels, self.num_classes, self.smoothing
        )
        names = (*evidence.FINDINGS, "features", "probs", "likelihood")
        found: dict = {name: [] for name in names}
        for view in self._views(inputs["image"]):
            features, logits = self.teacher(view, training=False)
            found["features"].append(self._kept(features))
            for name, find in evidence.FINDINGS.items():
                found[name].append(find(logits, labels))
            found["probs"].append(ops.softmax(ops.cast(logits, "float32")))
            probs = ops.softmax(ops.cast(self.student(view, training=False), "float32"))
            found["likelihood"].append(selection.clean_likelihood(probs, smooth))
        means = {name: sum(each) / len(each) for name, each in found.items()}
        probs = means.pop("probs")
        means["predicted"] = ops.argmax(probs, axis=-1)
        means["predicted_prob"] = ops.max(probs, axis=-1)
        return means

    def _kept(self, features):
        features = ops.cast(features, "float32")
        if self.projection is None:
            return features
        return ops.matmul(features, self.projection)

    def _views(self, images):
        if isinstance(images, dict):
            return [images["view_a"], images["view_b"]]
        if self.augmentation is None:
            return [images]
        drawn = range(2 * self.view_pairs)
        return [self.augmentation(images, training=True) for _ in drawn]

    def of(self, samples):
        """The dict of `call` for a `reading.Samples`, as NumPy arrays."""
        labels = samples.labels.astype("int32")
        result = self.predict_on_batch({"image": samples.images, "label": labels})
        # Under a strategy Keras returns the same rows once for each replica.
        rows = {name: np.asarray(each)[: len(labels)] for name, each in result.items()}
        return rows | {"features": rows["features"].astype("float16")}


@contextlib.contextmanager
def same_views(augmentation):
    """A context in which the augmentation draws the same views every time.

    Afterwards its random state is as before, so an audit changes no later training.

    Args:
        augmentation: A `keras.Layer`, or None.
    """
    seeds = [] if augmentation is None else _runtime.seed_generators(augmentation)
    before = [ops.convert_to_numpy(seed.state).copy() for seed in seeds]
    for number, seed in enumerate(seeds):
        seed.state.assign(np.array([number, 0], before[number].dtype))
    try:
        yield
    finally:
        for seed, state in zip(seeds, before, strict=True):
            seed.state.assign(state)


def of_all(model, x, y, view_pairs, batch_size, tell):
    """What is known of each sample, a dict of `(N,)` in dataset order.

    Args:
        model: As for `audit.audit`.
        x: As for `audit.audit`.
        y: As for `audit.audit`.
        view_pairs: Number of pairs of views.
        batch_size: Samples per batch, for arrays.
        tell: Function that is told after each batch how many samples are predicted.

    Raises:
        ValueError: If several samples have the same number.
    """
    predictions = Predictions(model, view_pairs)
    parts: list = []
    done = 0
    for batch in reading.batches(x, y, model.data_contract(), batch_size):
        part = predictions.of(batch) | {"label": batch.labels}
        count = len(batch.labels)
        part["index"] = np.arange(done, done + count)
        if batch.index is not None:
            part["index"] = batch.index
        done += count
        unknown = np.zeros(count, np.uint64)
        known = batch.fingerprints
        part["fingerprint"] = unknown if known is None else known
        parts.append(part)
        tell(done)
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    order = np.argsort(found["index"], kind="stable")
    index = found["index"][order]
    if len(np.unique(index)) != len(index):
        raise ValueError(
            "Expected a number of its own for each sample. Received: an 'index' that "
            "repeats. Number the whole dataset once, with `dataset.enumerate()`, and "
            "read it once: without `repeat`."
        )
    return {name: each[order] for name, each in found.items()}
