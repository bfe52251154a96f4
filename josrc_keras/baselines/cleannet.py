"""CleanNet: labels count by how alike the image is to their class."""

from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from josrc_keras import _checks, losses
from josrc_keras.baselines.sample_table import RemembersSamples

WEIGHTS = ("soft", "hard")


def clean_weights(similarity: Any, threshold: float | None = None) -> Any:
    """The weight of each sample in training the classifier.

    It is `max(0, s)`, or with a threshold 1 where `s` reaches it, else 0. Both are
    named in the paper; the formulae could not be checked against its text.

    Args:
        similarity: `(N,)` cosines s.
        threshold: In [-1, 1], or None.

    Returns:
        `(N,)` float32 in [0, 1].
    """
    if threshold is None:
        return ops.maximum(ops.cast(similarity, "float32"), 0.0)
    return ops.cast(similarity >= threshold, "float32")


@keras.saving.register_keras_serializable(package="josrc_keras")
class CleanNet(RemembersSamples):
    """CleanNet (Lee, He, Zhang and Yang, CVPR 2018).

    A second, small network learns from verification labels, by which people said of
    some images whether the given label is right. It compares an image with the class of
    its label, and every sample counts by that similarity. The callback `VerifyLabels`
    trains that network on features of the classifier and sets the similarities. Until
    then all samples count alike, which is ordinary training. The loss is the mean over
    the batch of weight times cross-entropy; whether the paper divides by the sum of the
    weights instead could not be checked.

    The method has to be told the verification labels, so it knows more than the other
    methods do.

    Args:
        network: A built functional `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view, or None.
        weights: `"soft"`, the similarity where it is above 0; or `"hard"`, 1 where the
            similarity reaches the threshold, else 0.
        threshold: Similarity from which on a label is called clean, in [-1, 1]. The
            published code validates with 0.1 and 0.2.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        similarity: Variable `(num_samples,)` in [-1, 1]: how alike an image is to the
            class of its given label; 1 before it was found.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range.
    """

    controls: ClassVar[dict] = {
        "similarity": "VerifyLabels(make_batches, verified, at_epochs=(20,))"
    }
    writes_tables = False

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        *,
        weights: Literal["soft", "hard"] = "soft",
        threshold: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, num_samples, augmentation, **kwargs)
        # Keras has an attribute `weights` of its own.
        self.weighting = _checks.check_choice("weights", weights, WEIGHTS)
        if not -1 <= threshold <= 1:
            raise ValueError(
                "Expected a threshold of a cosine, in [-1, 1]. Received: "
                f"threshold={threshold}."
            )
        self.threshold = threshold
        self.make_table("similarity", (), 1.0)
        self.make_metrics()

    def train_step(self, *arguments: Any) -> Any:
        """One step of weighted cross-entropy. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            logits = self.student(self.one_view(batch), training=True)
            similarity = self.read(self.similarity, self.rows_of(batch))
            hard = self.threshold if self.weighting == "hard" else None
            per_sample = losses.cross_entropy(batch.integer_labels(), logits)
            per_sample = clean_weights(similarity, hard) * per_sample
            clean = similarity >= self.threshold
            return self.outcome_of(logits, per_sample, clean, (1.0 + similarity) / 2)

        return self.step(arguments, learn)

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right: 0.5 at the threshold of the similarity.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        del labels, given_prob
        found = ops.convert_to_numpy(self.similarity).astype("float64")[index]
        above = 0.5 + (found - self.threshold) / max(1 - self.threshold, 1e-6) / 2
        below = (1 + found) / max(1 + self.threshold, 1e-6) / 2
        return np.clip(np.where(found >= self.threshold, above, below), 0, 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "weights": self.weighting,
            "threshold": self.threshold,
        }
