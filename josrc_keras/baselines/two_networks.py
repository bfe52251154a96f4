"""What all methods share that train two networks on the same batches."""

from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines.small_loss import disagreement
from josrc_keras.data.checks import contract
from josrc_keras.networks import copying
from josrc_keras.networks.checks import check_network
from josrc_keras.selection import Selection
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


class Choice(NamedTuple):
    """What a step learns from.

    Attributes:
        parts: `(losses, included)` pairs, each `(N,)`. The step minimises the sum of
            the means of the losses over their included samples.
        selected: `(N,)` boolean: the samples that the first network chose.
        likelihood: `(N,)` in [0, 1], higher for what looks clean.
    """

    parts: Any
    selected: Any
    likelihood: Any


class TwoNetworks(NoisyLabelModel):
    """Two networks of one kind that see the same view of each image.

    A subclass says in `choose` which samples each network learns from. Prediction and
    evaluation use the first network, `student`. A step minimises the sum of the two
    networks' mean losses. The metric `loss` is the mean over all samples that the
    networks learn from.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        peer: The second network. None clones `network` with new initial weights, except
            that weights that are not trained are copied, such as those of a frozen
            layer or an adapted `Normalization`. For a pretrained network, pass a second
            pretrained network.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The first network.
        predicts_with_both: Whether prediction, evaluation and exports use the mean of
            both networks' logits.
        peer: The second network.

    Raises:
        TypeError: If a network or `augmentation` is of the wrong type.
        ValueError: If a network does not end in C logits, or both have equal weights,
            as initializers with a fixed seed would make them: such networks could never
            disagree.
    """

    needs_two_views = False
    predicts_with_both: ClassVar[bool] = False
    verdicts = ("clean",)
    training_metrics: ClassVar[tuple] = ("clean_fraction", "disagreement")

    serialized = (*NoisyLabelModel.serialized, "peer")

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        peer: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        def make_peer(student):
            made = check_network(_peer_of(student, peer), num_classes)
            _check_different(student, made)
            return made

        further = {"peer": make_peer}
        super().__init__(network, num_classes, augmentation, further=further, **kwargs)
        self.make_metrics()

    def trained_networks(self) -> list:
        """The networks that a gradient changes."""
        return [self.student, self.peer]

    def choose(self, labels: Any, logits_a: Any, logits_b: Any) -> Choice:
        """Which samples each network learns from, and by which losses.

        Args:
            labels: `(N,)` integer given labels.
            logits_a: `(N, C)` logits of the first network.
            logits_b: `(N, C)` logits of the second network.

        Returns:
            A `Choice`.
        """
        raise NotImplementedError

    def train_step(self, *arguments: Any) -> Any:
        """One step of both networks. On JAX, Keras passes `(state, data)`."""
        return self.step(arguments, self.learn)

    def learn(self, batch: contract.Batch) -> Outcome:
        """What both networks predict and what they learn from, an `Outcome`."""
        view = self.one_view(batch)
        logits_a, logits_b = (
            ops.cast(network(view, training=True), "float32")
            for network in self.trained_networks()
        )
        choice = self.choose(batch.integer_labels(), logits_a, logits_b)
        rest = ops.logical_not(choice.selected)
        return Outcome(
            logits_a,
            terms=tuple(choice.parts),
            means={
                "clean_fraction": (choice.selected,),
                "disagreement": (disagreement(logits_a, logits_b),),
            },
            selection=Selection(choice.selected, rest, ops.zeros_like(rest)),
            likelihood=choice.likelihood,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "peer": keras.saving.serialize_keras_object(self.peer)
        }


def _peer_of(network, peer):
    """The given peer, or a clone of `network` with new initial weights."""
    if peer is not None:
        return peer
    peer = copying.with_initial_weights(network)
    if not peer.weights:
        raise ValueError(
            f"The network {network.name!r} can't be cloned for the peer: the clone has "
            "no weights. Pass a second network as `peer`."
        )
    initial = [keras.ops.convert_to_numpy(weight) for weight in peer.trainable_weights]
    copying.with_state_of(network, peer)
    for weight, value in zip(peer.trainable_weights, initial, strict=True):
        weight.assign(value)
    return peer


def likelihood_of(per_sample):
    """Turns `(N,)` losses in nats into likelihoods in [0, 1]: `exp(-loss)`."""
    return ops.clip(ops.exp(-per_sample), 0.0, 1.0)


def cross_entropies(labels, *logits):
    """A list of the cross-entropies of each network's logits, `(N,)` in nats."""
    return [losses.cross_entropy(labels, each) for each in logits]


def _check_different(student, peer):
    ours, theirs = student.get_weights(), peer.get_weights()
    alike = [a.shape for a in ours] == [b.shape for b in theirs]
    if alike and all((a == b).all() for a, b in zip(ours, theirs, strict=True)):
        raise ValueError(
            "Expected two networks with different weights. Received: a peer equal to "
            f"{student.name!r}, which would never disagree with it. Set no seed in the "
            "initializers, or pass another network as `peer`."
        )
