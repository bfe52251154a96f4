"""M-correction: labels that look wrong are mixed with predictions, images with others.

The name of its authors is M-DYR-H: mixup and dynamic bootstrapping with hard labels.
"""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from josrc_keras import losses
from josrc_keras.adaptive import mixup as blending
from josrc_keras.baselines import beta_mixture, penalties
from josrc_keras.selection import Selection
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


def wrong_probability(per_sample: Any, posterior: Any, low: Any, span: Any) -> Any:
    """The probability that a label is wrong, looked up by its loss.

    Args:
        per_sample: `(N,)` cross-entropies in nats.
        posterior: `(P,)`, the probability at P equally spaced values of [0, 1].
        low: The loss that is 0 among these values.
        span: How much more the loss is that is 1, positive.

    Returns:
        `(N,)` float32 in [1e-4, 1 - 1e-4], that of the nearest value.
    """
    last = posterior.shape[0] - 1
    place = ops.clip((per_sample - low) / span, 0.0, 1.0) * last
    found = ops.take(posterior, ops.cast(ops.round(place), "int32"), axis=0)
    return ops.clip(found, beta_mixture.EDGE, 1.0 - beta_mixture.EDGE)


@keras.saving.register_keras_serializable(package="josrc_keras")
class MCorrection(NoisyLabelModel):
    """M-correction (Arazo et al., ICML 2019), M-DYR-H: dynamic bootstrapping.

    Two images are blended with one share for the whole batch, drawn from a symmetric
    Beta distribution, and so are their targets. At first a target is the given label
    y. Later it is `(1 - B) e_y + B e_z`. Here z is the class that the network predicts,
    and B the probability that the label is wrong, by the sample's loss and a mixture of
    two Beta distributions that the callback `LossMixture` fits after every epoch. The
    loss is the cross-entropy of the blends (section 3.3) plus `eta KL(uniform || mean
    prediction of the batch)` once labels are doubted.

    The method need not be told the noise rate. It assumes that the losses of right and
    of wrong labels are apart when doubting starts: where they are not, it may doubt all
    labels.

    Where the published code predicts z with batch statistics in a further forward pass,
    here the pass in evaluation mode that gives B gives z as well.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        mixup: Both parameters of the Beta distribution of the share, at least 0; the
            published value is 32, and 0 blends nothing.
        eta: Weight of the batch's term, at least 0; the published scripts have 1.
        soft: Whether the prediction's probabilities take the place of z (M-DYR-S).
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        bootstrapping: Variable, 1 once labels are doubted, 0 before.
        posterior: Variable `(100,)` in [0, 1]: the probability of a wrong label at
            equally spaced losses.
        loss_low: Variable, the loss of the first of them, in nats.
        loss_span: Variable, how much more the loss of the last of them is.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
    """

    needs_two_views = False
    verdicts = ("clean",)
    training_metrics: ClassVar[tuple] = ("clean_fraction",)
    controls: ClassVar[dict] = {"posterior": "LossMixture(images, labels, start=105)"}

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        *,
        mixup: float = 32.0,
        eta: float = 1.0,
        soft: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, **kwargs)
        if min(mixup, eta) < 0:
            raise ValueError(
                "Expected mixup and eta of at least 0. Received: "
                f"mixup={mixup}, eta={eta}. The published values are 32 and 1."
            )
        self.mixup = mixup
        self.eta = eta
        self.soft = soft
        self.mixup_seed = keras.random.SeedGenerator()
        self.posterior = self.add_weight(
            name="posterior",
            shape=(beta_mixture.POINTS,),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.make_variables("bootstrapping", "loss_low", "loss_span")
        self.loss_span.assign(1.0)
        # XLA has no Beta distribution on TensorFlow.
        self.supports_jit = not mixup or keras.backend.backend() != "tensorflow"
        self.make_metrics()

    def passes(self) -> int:
        """What a step costs: one pass more than usual, and one at the epoch's end.

        Before labels are doubted it is 3.
        """
        return super().passes() + 2

    def train_step(self, *arguments: Any) -> Any:
        """One step on blended images. On JAX, Keras passes `(state, data)`."""
        return self.step(arguments, self.learn)

    def learn(self, batch: Any) -> Outcome:
        """The loss of the blends, by how far each label is doubted."""
        labels = ops.cast(batch.integer_labels(), "int32")
        given = ops.one_hot(labels, self.num_classes, dtype="float32")
        view = self.one_view(batch)
        wrong, predicted = self._judge(view, labels, given)
        targets = given + wrong[:, None] * (predicted - given)
        share = self.shares(batch)
        logits = self.student(blending.blend(view, share), training=True)
        per_sample = losses.soft_cross_entropy(logits, blending.blend(targets, share))
        uniform = [1.0 / self.num_classes] * self.num_classes
        prior = penalties.prior_penalty(logits, uniform, batch.sample_weight)
        per_sample += self.bootstrapping * self.eta * prior
        clean = wrong < 0.5
        rest = ops.logical_not(clean)
        return Outcome(
            logits,
            terms=((per_sample, ops.ones_like(clean)),),
            means={"clean_fraction": (clean,)},
            selection=Selection(clean, rest, ops.zeros_like(rest)),
            likelihood=1.0 - wrong,
        )

    def _judge(self, view, labels, given):
        """`(N,)` probability of a wrong label, and `(N, C)` what is predicted instead.

        Both come from a pass in evaluation mode, once labels are doubted.
        """

        def predict():
            return ops.cast(self.student(view, training=False), "float32")

        logits = self.only_if(
            self.bootstrapping > 0,
            predict,
            ops.zeros_like(given),
            reads=self.student.variables,
            assigns=[],
        )
        logits = ops.stop_gradient(logits)
        wrong = self.bootstrapping * wrong_probability(
            losses.cross_entropy(labels, logits),
            ops.convert_to_tensor(self.posterior),
            self.loss_low,
            self.loss_span,
        )
        if self.soft:
            return wrong, ops.softmax(logits, axis=-1)
        newest = ops.argmax(logits, axis=-1)
        return wrong, ops.one_hot(newest, self.num_classes, dtype="float32")

    def shares(self, batch: Any) -> Any:
        """`(N,)` in [0, 1]: how much each image keeps of itself."""
        everyone = ops.ones_like(ops.cast(batch.integer_labels(), "float32"))
        if self.mixup == 0:
            return everyone
        drawn = keras.random.beta((1,), self.mixup, self.mixup, seed=self.mixup_seed)
        return blending.alone_if_ignored(drawn * everyone, batch.sample_weight)

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right, by their losses and the mixture.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        del labels, index
        per_sample = -np.log(np.maximum(given_prob, np.finfo("float32").tiny))
        wrong = self.bootstrapping * wrong_probability(
            ops.convert_to_tensor(per_sample.astype("float32")),
            ops.convert_to_tensor(self.posterior),
            self.loss_low,
            self.loss_span,
        )
        return 1 - ops.convert_to_numpy(wrong).astype("float64")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "mixup": self.mixup,
            "eta": self.eta,
            "soft": self.soft,
        }
