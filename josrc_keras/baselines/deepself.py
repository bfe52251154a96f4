"""DeepSelf: labels are corrected by prototypes of the classes."""

from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras import losses
from josrc_keras.data.checks import contract
from josrc_keras.samples import numbering
from josrc_keras.selection import Selection
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


@keras.saving.register_keras_serializable(package="josrc_keras")
class DeepSelf(NoisyLabelModel):
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

    needs_two_views = False
    verdicts = ("clean",)
    controls: ClassVar[dict] = {"corrected": "CorrectLabels(make_batches)"}
    training_metrics: ClassVar[tuple] = ("clean_fraction",)

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
        super().__init__(network, num_classes, augmentation, **kwargs)
        losses.check_alpha(alpha)
        if num_samples is None or num_samples < 1:
            raise ValueError(
                "Expected `num_samples`, the number of training samples, of at least "
                f"1. Received: {num_samples}."
            )
        self.num_samples = num_samples
        self.alpha = alpha
        self.corrected = self._table("corrected", -1.0)
        self.similarity = self._table("similarity", 1.0)
        self.make_metrics()

    def _table(self, name, initial):
        """A variable with a float for each sample, which a callback sets."""
        return self.add_weight(
            name=name,
            shape=(self.num_samples,),
            initializer=keras.initializers.Constant(initial),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )

    def data_contract(self) -> contract.Contract:
        """What this model expects of its data, sample numbers included."""
        return super().data_contract()._replace(num_samples=self.num_samples)

    def before_fit(self, given: dict[str, Any]) -> None:
        """Numbers the samples of arrays."""
        numbering.number_samples(given, given["callbacks"])

    def train_step(self, *arguments: Any) -> Any:
        """One step on both labels. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            logits = self.student(self.one_view(batch), training=True)
            labels = ops.cast(batch.integer_labels(), "int32")
            rows = ops.cast(numbering.of_batch(batch), "int32")
            rows = ops.clip(rows, 0, self.num_samples - 1)
            found, similarity = (
                ops.take(ops.convert_to_tensor(table), rows)
                for table in (self.corrected, self.similarity)
            )
            corrected = ops.where(found < 0, labels, ops.cast(found, "int32"))
            given, other = (
                losses.cross_entropy(each, logits) for each in (labels, corrected)
            )
            per_sample = losses.joint_loss(given, other, self.alpha)
            clean = corrected == labels
            rest = ops.logical_not(clean)
            return Outcome(
                logits,
                terms=((per_sample, ops.ones_like(clean)),),
                means={"clean_fraction": (clean,)},
                selection=Selection(clean, rest, ops.zeros_like(rest)),
                likelihood=similarity,
            )

        return self.step(arguments, learn)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "num_samples": self.num_samples,
            "alpha": self.alpha,
        }
