"""What student and teacher predict of each sample, on several pairs of views."""

import keras
import numpy as np
from keras import ops

from josrc_keras import evidence, selection
from josrc_keras import labels as label_distributions


class Predictions(keras.Model):
    """Predicts a batch on several pairs of views, and keeps what an audit needs.

    Without an augmentation it sees each image once, as it is.

    Args:
        model: A `JoSRC` model.
        view_pairs: Number of pairs of views, at least 1.
    """

    def __init__(self, model, view_pairs):
        super().__init__()
        self.student, self.teacher = model.student, model.teacher
        self.augmentation = model.augmentation
        self.num_classes, self.smoothing = model.num_classes, model.smoothing
        self.view_pairs = view_pairs
        self.built = True

    def call(self, inputs):
        """A dict of `(N,)`, each the mean over the views.

        `given_prob`, `given_logit`, `other_logit` (`evidence`), `predicted` and
        `predicted_prob` are the teacher's; `likelihood` (eq. 3) is the student's.
        """
        labels = inputs["label"]
        smooth = label_distributions.smooth_labels(
            labels, self.num_classes, self.smoothing
        )
        found: dict = {name: [] for name in (*evidence.FINDINGS, "probs", "likelihood")}
        for view in self._views(inputs["image"]):
            logits = self.teacher(view, training=False)
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

    def _views(self, images):
        if isinstance(images, dict):
            return [images["view_a"], images["view_b"]]
        if self.augmentation is None:
            return [images]
        drawn = range(2 * self.view_pairs)
        return [self.augmentation(images, training=True) for _ in drawn]

    def of(self, samples):
        """The dict of a `samples.Samples`, as NumPy arrays."""
        labels = samples.labels.astype("int32")
        found = self.predict_on_batch({"image": samples.images, "label": labels})
        # Under a strategy Keras returns each replica's rows, the same ones.
        return {name: np.asarray(each)[: len(labels)] for name, each in found.items()}
