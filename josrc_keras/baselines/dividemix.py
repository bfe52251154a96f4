"""DivideMix: two networks divide the samples for each other."""

from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from josrc_keras import _checks, losses
from josrc_keras.baselines import mixmatch
from josrc_keras.baselines.small_loss import disagreement
from josrc_keras.baselines.two_networks import TwoNetworks
from josrc_keras.data.checks import contract
from josrc_keras.devices import replicas
from josrc_keras.samples import numbering
from josrc_keras.selection import Selection
from josrc_keras.training.step import Outcome

FORMS = ("mixmatch", "labelled")


@keras.saving.register_keras_serializable(package="josrc_keras")
class DivideMix(TwoNetworks):
    """DivideMix (Li, Socher and Hoi, ICLR 2020), algorithm 1.

    After a warm-up on all given labels, the callback `Divide` fits a mixture of two
    Gaussians to each network's losses. A sample whose label the other network finds
    clean is labelled, with a target between its label and the prediction. Of the
    others the label is discarded, and both networks guess it. Each network learns from
    mixed images of both kinds: cross-entropy on labelled ones, squared error on
    unlabelled ones, and a penalty that keeps the mean prediction uniform.

    The published method trains the networks in turns on batches of as many labelled as
    unlabelled images. Here both learn in every step, from a shuffled batch that holds
    some of each kind. The means over the two kinds are weighed as if there were as many
    of one as of the other. Networks predict targets as in evaluation, and the warm-up
    learns from both views.

    The method need not be told the noise rate, but the authors chose the weight of the
    unlabelled loss, the threshold and the confidence penalty by noise. `predict`,
    `evaluate` and the compiled metrics use the mean of both networks' logits, whose
    largest class is that of their sum.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view; None if the data has two views.
        peer: The second network, or None; see `TwoNetworks`.
        temperature: T of the sharpening, above 0.
        threshold: Probability in [0, 1) above which a label counts as clean.
        concentration: Parameter of the Beta distribution that images are mixed by,
            above 0; the paper uses 4 on CIFAR and 0.5 on Clothing1M.
        confidence_penalty: Whether the warm-up rewards uncertain predictions, as the
            paper does for asymmetric noise and Clothing1M.
        form: `"mixmatch"`, or `"labelled"`, the published code's form for Clothing1M:
            unlabelled images only serve to be mixed with labelled ones.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        clean_probability: Variable `(2, num_samples)` in [0, 1]: what each network
            finds of each label; the networks learn from each other's row.
        divided: Variable, 1 once samples are divided, 0 in the warm-up.
        unlabelled_weight: Variable, the weight of the unlabelled loss, at least 0.

    Raises:
        TypeError: If a network or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range.
    """

    needs_two_views = True
    predicts_with_both = True
    controls: ClassVar[dict] = {"clean_probability": "Divide(make_batches)"}
    training_metrics = (
        *TwoNetworks.training_metrics,
        "labelled_loss",
        "unlabelled_loss",
        "uniform_penalty",
    )

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        peer: keras.Model | None = None,
        *,
        temperature: float = 0.5,
        threshold: float = 0.5,
        concentration: float = 4.0,
        confidence_penalty: bool = False,
        form: Literal["mixmatch", "labelled"] = "mixmatch",
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, peer, **kwargs)
        _checks.check_choice("form", form, FORMS)
        bounds = {"temperature": temperature, "concentration": concentration}
        bounds["num_samples"] = num_samples
        low = {name: value for name, value in bounds.items() if not (value or 0) > 0}
        if low or not 0 <= threshold < 1:
            received = low or {"threshold": threshold}
            raise ValueError(
                "Expected temperature, concentration and num_samples above 0, and "
                f"threshold in [0, 1). Received: {received}. The paper uses 0.5, 4 and "
                "0.5 on CIFAR."
            )
        self.num_samples = num_samples
        self.temperature = temperature
        self.threshold = threshold
        self.concentration = concentration
        self.confidence_penalty = confidence_penalty
        self.form = form
        self.mix_seed = keras.random.SeedGenerator()
        # XLA has no Beta distribution on TensorFlow.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.make_variables("divided", "unlabelled_weight")
        self.clean_probability = self.add_weight(
            name="clean_probability",
            shape=(2, num_samples),
            initializer="ones",
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

    def passes(self) -> int:
        """What a step costs; see the base class.

        Both networks guess on two views, learn from two views, and predict once at the
        epoch's end.
        """
        return 2 * (2 + 2 * self.passes_of_view() + 1)

    def learn(self, batch: contract.Batch) -> Outcome:
        """What both networks learn from a batch, an `Outcome`."""
        views = ops.concatenate(self._two_views(batch), axis=0)
        guesses = self._predictions(views)
        partners, share = self._partners(batch)
        mixed = mixmatch.mix(views, partners, share)
        everyone = ops.ones(ops.shape(batch.labels), "bool")
        found = []
        for own, network in enumerate(self.trained_networks()):
            clean, labelled = self._division(batch, by=1 - own)
            targets = self._targets(batch, guesses, own, clean, labelled)
            targets = mixmatch.mix(ops.tile(targets, (2, 1)), partners, share)
            logits = ops.cast(network(mixed, training=True), "float32")
            parts = self._loss_parts(batch, logits, targets, labelled)
            found.append((parts, ops.split(logits, 2)[0], clean, labelled))
        parts, logits, clean, labelled = found[0]
        rest = ops.logical_not(labelled)
        return Outcome(
            logits,
            terms=tuple((each[0]["loss"], everyone) for each in found),
            means={
                "clean_fraction": (labelled,),
                "disagreement": (disagreement(logits, found[1][1]),),
                "labelled_loss": (parts["labelled"], ops.cast(labelled, "float32")),
                "unlabelled_loss": (parts["unlabelled"], ops.cast(rest, "float32")),
                "uniform_penalty": (parts["penalty"],),
            },
            selection=Selection(labelled, rest, ops.zeros_like(rest)),
            likelihood=clean,
        )

    def _two_views(self, batch):
        """Two views of each image, given or drawn: a list of `(N, ...)`."""
        if isinstance(batch.images, dict):
            return batch.image_parts()
        return [self.augmentation(batch.images, training=True) for _ in range(2)]

    def _predictions(self, views):
        """Probabilities of both networks on both views: `(2, 2, N, C)`; no gradient.

        In the warm-up nothing is guessed, and they are zeros.
        """
        networks = self.trained_networks()
        count = ops.shape(views)[0]

        def predict():
            logits = [network(views, training=False) for network in networks]
            return ops.softmax(ops.cast(ops.stack(logits), "float32"), axis=-1)

        probs = self.only_if(
            self.divided > 0,
            predict,
            ops.zeros((2, count, self.num_classes), "float32"),
            reads=[weight for network in networks for weight in network.weights],
            assigns=[],
        )
        shape = (2, 2, count // 2, self.num_classes)
        return ops.stop_gradient(ops.reshape(probs, shape))

    def _partners(self, batch):
        """`(2N,)` which row each row is mixed with, and how much of itself it keeps."""
        count = 2 * ops.shape(batch.labels)[0]
        partners = keras.random.shuffle(ops.arange(count), seed=self.mix_seed)
        drawn = mixmatch.draw_share(self.concentration, self.mix_seed)
        share = ops.where(self.divided > 0, drawn, 1.0) * ops.ones(count)
        if batch.sample_weight is not None:  # Nothing is learnt of an ignored image.
            weights = ops.tile(ops.cast(batch.sample_weight, "float32"), (2,))
            ignored = ops.take(weights, partners) == 0
            share = ops.where(ignored, 1.0, share)
        return partners, share

    def _division(self, batch, by):
        """`(N,)` probabilities of clean labels by a network, and which are labelled."""
        rows = ops.cast(numbering.of_batch(batch), "int32")
        rows = ops.clip(rows, 0, self.num_samples - 1)
        table = ops.convert_to_tensor(self.clean_probability)
        clean = ops.where(self.divided > 0, ops.take(table[by], rows), 1.0)
        return clean, ops.logical_or(clean > self.threshold, self.divided == 0)

    def _targets(self, batch, guesses, own, clean, labelled):
        """`(N, C)` targets of one network, without a gradient."""
        temperature = self.temperature
        labels = batch.integer_labels()
        refined = mixmatch.refine(
            labels, ops.mean(guesses[own], axis=0), clean, temperature
        )
        probs = [guesses[network, view] for network in (0, 1) for view in (0, 1)]
        guessed = mixmatch.guess(probs, temperature)
        return ops.stop_gradient(ops.where(labelled[:, None], refined, guessed))

    def _loss_parts(self, batch, logits, targets, labelled):
        """The parts of a network's loss: a dict of `(N,)`, and a scalar `penalty`.

        The mean of `loss` over the batch is `L_x + weight * L_u + L_reg` (eq. 12). In
        the warm-up it is cross-entropy, with the confidence penalty if wanted.
        """
        per_view = {
            "labelled": losses.soft_cross_entropy(logits, targets),
            "unlabelled": mixmatch.squared_error(logits, targets),
            "confidence": mixmatch.negative_entropy(logits),
        }
        parts = {
            name: ops.mean(ops.reshape(each, (2, -1)), axis=0)
            for name, each in per_view.items()
        }
        weights = ops.ones(ops.shape(labelled), "float32")
        everyone = replicas.global_sum(ops.sum(weights))
        clean = ops.cast(labelled, "float32")
        shares = [
            everyone / ops.maximum(replicas.global_sum(ops.sum(kind)), 1.0) * kind
            for kind in (clean, 1.0 - clean)
        ]
        if batch.sample_weight is not None:
            weights = ops.cast(batch.sample_weight, "float32")
        kinds = (clean,) if self.form == "labelled" else (clean, 1.0 - clean)
        penalty = mixmatch.uniform_penalty(
            mean_of_kinds(logits, [weights * kind for kind in kinds])
        )
        unlabelled_weight = 0.0 if self.form == "labelled" else self.unlabelled_weight
        loss = shares[0] * parts["labelled"]
        loss += unlabelled_weight * shares[1] * parts["unlabelled"]
        warm = parts["confidence"] if self.confidence_penalty else 0.0
        loss += ops.where(self.divided > 0, penalty, warm)
        return parts | {"loss": loss, "penalty": penalty}

    # Evaluation and prediction use both networks.

    def call(self, images: Any, training: bool = False) -> Any:
        """The mean of both networks' logits `(N, C)`; of the first of two views."""
        return self._ensemble(self.seen_in_evaluation(images), training=training)

    def network_to_evaluate(self) -> Any:
        """A function of images: the mean of both networks' logits `(N, C)`."""
        return self._ensemble

    def _ensemble(self, images, training=False):
        logits = [
            network(images, training=training) for network in (self.student, self.peer)
        ]
        return sum(ops.cast(each, "float32") for each in logits) / 2

    def label_likelihood(self, labels: Any, index: Any, given_prob: Any) -> np.ndarray:
        """How likely labels are right: the mean of what both networks find.

        Args:
            labels: `(N,)` given labels.
            index: `(N,)` numbers of the samples in the training set.
            given_prob: `(N,)` probabilities that the network gives to these labels.

        Returns:
            `(N,)` float64 in [0, 1]; below 0.5 the label looks wrong.
        """
        del labels, given_prob
        found = ops.convert_to_numpy(self.clean_probability)
        return found.astype("float64").mean(axis=0)[index]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "num_samples": self.num_samples,
            "temperature": self.temperature,
            "threshold": self.threshold,
            "concentration": self.concentration,
            "confidence_penalty": self.confidence_penalty,
            "form": self.form,
        }


def mean_of_kinds(logits, kinds):
    """The mean prediction over two views, in which each kind of sample counts equally.

    Args:
        logits: `(2N, C)` of both views.
        kinds: `(N,)` weights of the samples, for each kind.

    Returns:
        `(C,)` float32, sums to 1; uniform where every weight is 0.
    """
    probs = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    classes = probs.shape[-1]
    probs = ops.mean(ops.reshape(probs, (2, -1, classes)), axis=0)
    total, present = ops.zeros((classes,), "float32"), ops.zeros((), "float32")
    for weights in kinds:
        count = ops.sum(weights)
        some = count > 0
        mean = ops.sum(weights[:, None] * probs, axis=0) / ops.where(some, count, 1.0)
        total += ops.where(some, mean, 0.0)
        present += ops.cast(some, "float32")
    mean = total / ops.maximum(present, 1.0)
    return ops.where(present > 0, mean, ops.ones((classes,), "float32") / classes)
