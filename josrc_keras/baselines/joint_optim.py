"""Joint-Optim: labels are replaced by what the network has predicted lately."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines import penalties
from josrc_keras.baselines.sample_table import RemembersSamples


@keras.saving.register_keras_serializable(package="josrc_keras")
class JointOptim(RemembersSamples):
    """Joint-Optim (Tanaka et al., CVPR 2018), algorithm 1 with soft labels.

    The loss is `L_c + alpha L_p + beta L_e` (equation 4): the cross-entropy against the
    sample's label, `KL(prior || mean prediction of the batch)`, and the entropy of the
    prediction. At first the label is the given one. Later the callback `UpdateLabels`
    makes it the mean of what the network predicted of the sample in the last epochs,
    in training. In a second stage the network starts anew, the labels stay as they are,
    and the loss is `L_c` alone.

    The method has to be told the share of each class. It need not be told the noise
    rate, but its authors tuned alpha, beta and the learning rate for each, and the
    first stage needs a high, constant learning rate, with which a network does not
    learn wrong labels by heart.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view, or None.
        alpha: Weight of the prior's term, at least 0.
        beta: Weight of the entropy, at least 0.
        prior: The share of each class, C numbers that sum to 1; None: equal shares.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        soft_labels: Variable `(num_samples, C)`: the label of each sample, rows sum to
            1; zeros where it is the given one.
        predictions: Variable `(num_samples, C)`: what this epoch has predicted of each
            sample so far; zeros where it was not seen.
        regularised: Variable, 1 in the first stage, 0 in the second one, where alpha
            and beta do not count.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
    """

    controls: ClassVar[dict] = {
        "soft_labels": "UpdateLabels(start=70, second_stage=200)"
    }

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        *,
        alpha: float = 1.2,
        beta: float = 0.8,
        prior: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, num_samples, augmentation, **kwargs)
        if min(alpha, beta) < 0:
            raise ValueError(
                "Expected alpha and beta of at least 0. Received: "
                f"alpha={alpha}, beta={beta}. The published values are 1.2 and 0.8."
            )
        self.alpha = alpha
        self.beta = beta
        self.prior = penalties.check_prior(prior, num_classes)
        self.make_table("soft_labels")
        self.make_table("predictions")
        self.make_variables("regularised")
        self.regularised.assign(1.0)
        self.make_metrics()

    def train_step(self, *arguments: Any) -> Any:
        """One step of equation 4. On JAX, Keras passes `(state, data)`."""
        return self.step(arguments, self.learn)

    def learn(self, batch: Any) -> Any:
        """The loss, and what the network predicts of the samples. An `Outcome`."""
        labels = ops.cast(batch.integer_labels(), "int32")
        rows = self.rows_of(batch)
        soft = self.read(self.soft_labels, rows)
        given = ops.one_hot(labels, self.num_classes, dtype="float32")
        targets = ops.where(ops.sum(soft, axis=-1, keepdims=True) > 0, soft, given)
        logits = self.student(self.one_view(batch), training=True)
        prior = penalties.prior_penalty(logits, self.prior, batch.sample_weight)
        further = self.alpha * prior + self.beta * penalties.entropy(logits)
        per_sample = losses.soft_cross_entropy(logits, targets)
        per_sample += self.regularised * further
        self.write(
            self.predictions, rows, ops.softmax(ops.cast(logits, "float32"), axis=-1)
        )
        clean = ops.argmax(targets, axis=-1) == labels
        likelihood = ops.sum(targets * given, axis=-1)
        return self.outcome_of(logits, per_sample, clean, likelihood)

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right: their share of the replaced label.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        soft = ops.convert_to_numpy(self.soft_labels).astype("float64")[index]
        found = np.clip(soft[np.arange(len(labels)), labels], 0, 1)
        return np.where(soft.sum(axis=1) > 0, found, given_prob)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "alpha": self.alpha,
            "beta": self.beta,
            "prior": list(self.prior),
        }


def updated_labels(ring: Any) -> Any:
    """The labels after an epoch: the mean of the newest predictions (equation 8).

    Args:
        ring: `(K, N, C)` NumPy array, the predictions of up to K epochs; zeros where a
            sample was not seen.

    Returns:
        `(N, C)` float32. Rows sum to 1 up to rounding; a sample that no epoch saw has
        zeros.
    """
    total = ring.sum(axis=0, dtype="float32")
    sums = total.sum(axis=1, keepdims=True)
    return total / (sums + (sums == 0))
