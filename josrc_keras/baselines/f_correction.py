"""F-correction: the loss of the labels that noise would make of a prediction."""

import math
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome

# The least of a transition's entries, so that the logarithm of 0 is finite. It is below
# any probability that counts: with the identity the loss is plain cross-entropy.
LEAST = 1e-30


def forward_cross_entropy(labels: Any, logits: Any, transition: Any) -> Any:
    """Cross-entropy of the given label after noise (Patrini et al., section 4.2).

    It is `-log q_y` with `q_j = sum_i p_i T_ij`, where p is the softmax of the logits.

    Args:
        labels: `(N,)` integers in `[0, C)`.
        logits: `(N, C)`.
        transition: `(C, C)`: the probability of each given label by the true class, a
            row for each true class, which sums to 1.

    Returns:
        `(N,)` float32 in nats, at least 0 up to rounding; NaN for a label out of range.
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    num_classes = log_probs.shape[-1]
    labels = ops.cast(labels, "int32")
    in_range = ops.logical_and(labels >= 0, labels < num_classes)
    to_label = ops.take(
        ops.transpose(ops.log(ops.maximum(transition, LEAST))),
        ops.clip(labels, 0, num_classes - 1),
        axis=0,
    )
    losses = -ops.logsumexp(log_probs + to_label, axis=-1)
    return ops.where(in_range, losses, math.nan)


def transition_from_anchors(
    probabilities: Any, quantile: float | None = None
) -> np.ndarray:
    """The transition matrix, read off the samples that are surest of their class.

    Row i is what the network predicts of the anchor of class i, the sample with the
    highest probability of that class (Patrini et al., section 4.4). Of equal samples
    the first one counts.

    Args:
        probabilities: `(N, C)`, rows sum to 1, of all training samples.
        quantile: Leaves out the samples whose probability is at or above this
            quantile of the class, in (0, 1): they may be outliers. The quantile is a
            sample's own value, the higher of two. None leaves out no sample. A class in
            which no sample would be left keeps all of them.

    Returns:
        `(C, C)` float64, rows sum to 1.

    Raises:
        ValueError: If there is no sample, or `quantile` is out of range.
    """
    probabilities = np.asarray(probabilities, "float64")
    if not len(probabilities) or probabilities.ndim != 2:
        raise ValueError(
            "Expected the probabilities of at least one sample, of shape (N, C). "
            f"Received: shape {probabilities.shape}. Pass the whole training set's."
        )
    if quantile is not None and not 0 < quantile < 1:
        raise ValueError(
            f"Expected a quantile in (0, 1), or None. Received: quantile={quantile}."
        )
    anchors = []
    for column in probabilities.T:
        among = np.ones(len(column), bool)
        if quantile is not None:
            among = column < np.quantile(column, quantile, method="higher")
            among |= not among.any()
        anchors.append(int(np.argmax(np.where(among, column, -1.0))))
    rows = probabilities[anchors]
    return rows / rows.sum(axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="josrc_keras")
class FCorrection(NoisyLabelModel):
    """F-correction (Patrini et al., CVPR 2017), the forward loss correction.

    The network predicts the true class, and `T` turns that into a prediction of the
    given label, which cross-entropy compares with the given label. Prediction and
    evaluation use the network without `T`.

    The method has to be told `T`, or estimates it with the callback
    `EstimateTransition`: it trains with the identity at first, which is ordinary
    training, reads `T` off the samples of which the network is surest, and starts the
    network anew. That assumes that each class has a sample which is almost certain. It
    need not be told the noise rate.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        transition: `(C, C)`, the probability of each given label by the true class: a
            row for each true class, which sums to 1. None lets `fit` require
            `EstimateTransition`.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        transition: Variable `(C, C)`, the matrix in use, first the identity.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If the network does not end in C logits, or `transition` is no
            matrix of probabilities.
    """

    needs_two_views = False
    controls: ClassVar[dict] = {"transition": "EstimateTransition(images, at_epoch=60)"}

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        transition: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, **kwargs)
        self.told = None
        if transition is not None:
            self.told = check_transition(transition, num_classes).tolist()
        self.transition = self.add_weight(
            name="transition",
            shape=(num_classes, num_classes),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )
        start = np.eye(num_classes) if self.told is None else np.array(self.told)
        self.transition.assign(start.astype("float32"))
        self.make_metrics()

    def required_controls(self) -> dict[str, str]:
        """None where the matrix was given, else the callback that estimates it."""
        return self.controls if self.told is None else {}

    def train_step(self, *arguments: Any) -> Any:
        """One step of the forward loss. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            logits = self.student(self.one_view(batch), training=True)
            per_sample = forward_cross_entropy(
                batch.integer_labels(), logits, ops.convert_to_tensor(self.transition)
            )
            everyone = ops.ones_like(per_sample, dtype="bool")
            return Outcome(logits, terms=((per_sample, everyone),), means={})

        return self.step(arguments, learn)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"transition": self.told}


def check_transition(transition: Any, num_classes: int) -> np.ndarray:
    """Returns a transition matrix as float64, if it is one.

    Raises:
        ValueError: If it is not `(C, C)`, or a row is no distribution.
    """
    matrix = np.asarray(transition, "float64")
    square = matrix.shape == (num_classes, num_classes)
    if not square or not (matrix >= 0).all():
        raise ValueError(
            f"Expected a transition matrix of shape ({num_classes}, {num_classes}) "
            f"without negative entries. Received: shape {matrix.shape}, least entry "
            f"{matrix.min() if matrix.size else None}. Give it a row for each true "
            "class."
        )
    sums = matrix.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-4:
        raise ValueError(
            f"Expected rows of the transition matrix that sum to 1. Received: "
            f"{np.round(sums, 4).tolist()}. Each row is what becomes of one true "
            "class; transpose the matrix if its columns sum to 1."
        )
    return matrix
