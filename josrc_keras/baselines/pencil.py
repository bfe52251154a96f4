"""PENCIL: the label of each sample is learnt along with the network."""

from typing import Any, ClassVar

import keras
import numpy as np
from absl import logging
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines import penalties
from josrc_keras.baselines.sample_table import RemembersSamples
from josrc_keras.devices import replicas

SHARE = 0.1  # The default alpha is this share of 1 / C, its limit.
SCALE = 10.0  # The published K: a label starts with a probability of almost 1.


def pencil_losses(
    logits: Any, label_logits: Any, labels: Any, *, double_softmax: bool = False
) -> tuple[Any, Any, Any]:
    """The three losses of PENCIL, before they are weighted (Yi and Wu, section 3.3).

    With the prediction p and the label distribution q, the softmax of `label_logits`:
    `L_c = KL(p || q)`, `L_o = -log q_y` and `L_e = H(p)`.

    Args:
        logits: `(N, C)` of the network.
        label_logits: `(N, C)`, whose softmax is the label distribution.
        labels: `(N,)` given labels.
        double_softmax: Whether `L_o` takes q for logits, as the published code does.

    Returns:
        `(L_c, L_o, L_e)`, each `(N,)` float32 in nats, at least 0.
    """
    log_p = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    log_q = ops.log_softmax(ops.cast(label_logits, "float32"), axis=-1)
    classification = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
    compared = ops.exp(log_q) if double_softmax else label_logits
    compatibility = losses.cross_entropy(labels, compared)
    return classification, compatibility, penalties.entropy(logits)


def label_gradient(
    logits: Any,
    label_logits: Any,
    labels: Any,
    alpha: Any,
    *,
    double_softmax: bool = False,
) -> Any:
    """The gradient of a sample's loss `L_c / C + alpha L_o` by its label logits.

    It is `(q - p) / C + alpha (q - e_y)`. With the double softmax the second term is
    `alpha q * (g - <g, q>)` with `g = softmax(q) - e_y`.

    Args:
        logits: `(N, C)` of the network.
        label_logits: `(N, C)`, whose softmax is the label distribution q.
        labels: `(N,)` given labels.
        alpha: Weight of `L_o`, at least 0.
        double_softmax: As for `pencil_losses`.

    Returns:
        `(N, C)` float32; rows sum to 0.
    """
    probs = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    label_probs = ops.softmax(ops.cast(label_logits, "float32"), axis=-1)
    classes = probs.shape[-1]
    one_hot = ops.one_hot(ops.cast(labels, "int32"), classes, dtype="float32")
    compatibility = label_probs - one_hot
    if double_softmax:
        inner = ops.softmax(label_probs, axis=-1) - one_hot
        mean = ops.sum(inner * label_probs, axis=-1, keepdims=True)
        compatibility = label_probs * (inner - mean)
    return (label_probs - probs) / classes + alpha * compatibility


@keras.saving.register_keras_serializable(package="josrc_keras")
class Pencil(RemembersSamples):
    """PENCIL or P-correction (Yi and Wu, CVPR 2019), algorithm 1.

    Each sample has a label distribution, the softmax of `label_logits`, which starts at
    `scale` for the given label and 0 for others. Training has three stages, which the
    callback `PencilStages` begins:

    1. Cross-entropy on the given labels.
    2. The loss is `L_c / C + alpha L_o + beta L_e / C` (see `pencil_losses`). It moves
       the network, and by plain gradient descent at `label_rate` the label
       distributions of the batch's samples, once a visit.
    3. The label distributions are fixed, and the loss is `L_c / C`.

    The method need not be told the noise rate, but its authors tuned the four numbers
    for each rate. The gradient of the labels is that of the batch's mean, so that
    `label_rate` belongs to a batch size: the published 600 to 128.

    **`alpha` has to be below 1 / C**, or no label is ever called wrong. A sample's
    distribution settles where `q = (p / C + alpha e_y) / (1 / C + alpha)`. Even of an
    image that the network is sure to be of another class, the given label then keeps
    `alpha / (1 / C + alpha)`. That is 0.8 with the published code's 0.4 at ten classes
    (and 0.73 with its double softmax). The default is 0.1 / C, with which it is 0.09.
    At ten classes that is the 0.01 that a re-implementation tuned for CIFAR-10 with 30%
    symmetric noise (github.com/ljmiao/PENCIL), whose rate of 500 is the default here.

    In the published code `L_o` takes probabilities for logits, so a softmax is taken
    twice, which pulls much more weakly on the labels. `double_softmax` does so, too. It
    is off by default, as the paper says. The code also forgets the labels of samples
    that an epoch leaves out. Here they stay.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view, or None.
        alpha: Weight of the given label, at least 0; None takes 0.1 / C. The published
            code has 0.4, see above.
        beta: Weight of the entropy, at least 0.
        label_rate: The paper's lambda, at least 0; 0 never changes a label.
        scale: The paper's K, positive.
        double_softmax: Whether to compare labels as the published code does.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        label_changes: Variable `(num_samples, C)`: what was added to the first label
            logits of each sample.
        stage: Variable, 0, 1 or 2: the stage above, counted from 0.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
    """

    controls: ClassVar[dict] = {
        "stage": "PencilStages(correct_from=70, fixed_from=200)"
    }

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        *,
        alpha: float | None = None,
        beta: float = 0.1,
        label_rate: float = 500.0,
        scale: float = SCALE,
        double_softmax: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, num_samples, augmentation, **kwargs)
        alpha = SHARE / num_classes if alpha is None else alpha
        if min(alpha, beta, label_rate) < 0 or scale <= 0:
            raise ValueError(
                "Expected alpha, beta and label_rate of at least 0 and a positive "
                f"scale. Received: alpha={alpha}, beta={beta}, label_rate={label_rate},"
                f" scale={scale}. The published code has 0.4, 0.1, 600 and 10."
            )
        if alpha * num_classes >= 1:
            logging.warning(
                "With alpha=%g and %d classes PENCIL never calls a label wrong: alpha "
                "has to be below 1 / C, which is %.3g.",
                alpha,
                num_classes,
                1 / num_classes,
            )
        self.alpha = alpha
        self.beta = beta
        self.label_rate = label_rate
        self.scale = scale
        self.double_softmax = double_softmax
        self.make_table("label_changes")
        self.make_variables("stage")
        self.make_metrics()

    def label_logits(self, labels: Any, changes: Any) -> Any:
        """`(N, C)` float32 label logits of samples.

        Args:
            labels: `(N,)` given labels.
            changes: `(N, C)`, their rows of `label_changes`.
        """
        labels = ops.cast(labels, "int32")
        first = ops.one_hot(labels, self.num_classes, dtype="float32")
        return self.scale * first + ops.cast(changes, "float32")

    def train_step(self, *arguments: Any) -> Any:
        """One step of a stage. On JAX, Keras passes `(state, data)`."""
        return self.step(arguments, self.learn)

    def learn(self, batch: Any) -> Any:
        """The loss of the stage; in the second one the labels move. An `Outcome`."""
        labels, rows = batch.integer_labels(), self.rows_of(batch)
        label_logits = self.label_logits(labels, self.read(self.label_changes, rows))
        logits = self.student(self.one_view(batch), training=True)
        classification, compatibility, entropy = pencil_losses(
            logits, label_logits, labels, double_softmax=self.double_softmax
        )
        corrects = ops.cast(self.stage == 1, "float32")
        further = self.alpha * compatibility + self.beta * entropy / self.num_classes
        per_sample = ops.where(
            self.stage == 0,
            losses.cross_entropy(labels, logits),
            classification / self.num_classes + corrects * further,
        )
        self._move_labels(batch, rows, labels, logits, label_logits, corrects)
        probs = ops.softmax(label_logits, axis=-1)
        likelihood = ops.exp(-losses.cross_entropy(labels, label_logits))
        clean = ops.argmax(probs, axis=-1) == ops.cast(labels, "int32")
        return self.outcome_of(logits, per_sample, clean, likelihood)

    def _move_labels(self, batch, rows, labels, logits, label_logits, corrects):
        """A step of gradient descent on the label logits, where `corrects` is 1."""
        gradient = label_gradient(
            logits,
            label_logits,
            labels,
            self.alpha,
            double_softmax=self.double_softmax,
        )
        if batch.sample_weight is not None:
            gradient *= ops.cast(batch.sample_weight, "float32")[:, None]
        count = replicas.global_sum(ops.sum(ops.ones_like(gradient[:, 0])))
        self.add(
            self.label_changes, rows, -corrects * self.label_rate / count * gradient
        )

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right: their share of the label distribution.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        del given_prob
        logits = self.scale * np.eye(self.num_classes)[labels]
        logits += ops.convert_to_numpy(self.label_changes).astype("float64")[index]
        logits -= logits.max(axis=1, keepdims=True)
        probs = np.exp(logits)
        return probs[np.arange(len(labels)), labels] / probs.sum(axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "alpha": self.alpha,
            "beta": self.beta,
            "label_rate": self.label_rate,
            "scale": self.scale,
            "double_softmax": self.double_softmax,
        }
