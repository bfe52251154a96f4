"""DeepSelf: labels are corrected by prototypes of the classes."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines.sample_table import RemembersSamples


@keras.saving.register_keras_serializable(package="josrc_keras")
class DeepSelf(RemembersSamples):
    """DeepSelf, or SMP (Han, Luo and Wang, ICCV 2019).

    Each image has its given label and a corrected one, which the callback
    `CorrectLabels` sets after every epoch: the class whose prototypes its features are
    most alike. The loss is `(1 - alpha)` times the cross-entropy against the given
    label plus `alpha` times that against the corrected one. Before the first
    correction, both labels are the given one.

    No code was published, and the choice of prototypes could not be checked against the
    paper; see `josrc_keras.samples.prototypes`. The method need not be told anything.

    Args:
        network: A built functional `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view, or None.
        alpha: Weight of the corrected label, in [0, 1]; 0 is ordinary training.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        corrected: Variable `(num_samples,)`: the corrected labels, -1 before the first
            correction.
        similarity: Variable `(num_samples,)` in [0, 1]: how alike an image is to the
            class of its given label; 1 before the first correction.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range.
    """

    controls: ClassVar[dict] = {"corrected": "CorrectLabels(make_batches)"}
    writes_tables = False

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        *,
        alpha: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, num_samples, augmentation, **kwargs)
        losses.check_alpha(alpha)
        self.alpha = alpha
        self.make_table("corrected", (), -1.0)
        self.make_table("similarity", (), 1.0)
        self.make_metrics()

    def passes(self) -> int:
        """What a step costs: as usual, and two passes at the epoch's end."""
        return super().passes() + 2

    def train_step(self, *arguments: Any) -> Any:
        """One step on both labels. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            logits = self.student(self.one_view(batch), training=True)
            labels = ops.cast(batch.integer_labels(), "int32")
            rows = self.rows_of(batch)
            found, similarity = (
                self.read(table, rows) for table in (self.corrected, self.similarity)
            )
            corrected = ops.where(found < 0, labels, ops.cast(found, "int32"))
            given, other = (
                losses.cross_entropy(each, logits) for each in (labels, corrected)
            )
            per_sample = losses.joint_loss(given, other, self.alpha)
            return self.outcome_of(logits, per_sample, corrected == labels, similarity)

        return self.step(arguments, learn)

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right: by the similarity, and whether they stayed.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        del given_prob
        corrected, similarity = (
            ops.convert_to_numpy(table).astype("float64")[index]
            for table in (self.corrected, self.similarity)
        )
        stayed = (corrected < 0) | (corrected == labels)
        return (stayed + similarity) / 2

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"alpha": self.alpha}
