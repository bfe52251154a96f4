"""Two networks that learn from the same batches: what such methods share."""

from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines.small_loss import disagreement
from josrc_keras.networks.checks import check_network
from josrc_keras.selection import Selection
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


class Choice(NamedTuple):
    """What a step is to learn from.

    Attributes:
        parts: `(losses, included)` pairs, each `(N,)`: the means of the losses over
            their included samples are added up.
        selected: `(N,)` boolean: the samples that the first network chose.
        likelihood: `(N,)` in [0, 1], higher for what looks clean.
    """

    parts: Any
    selected: Any
    likelihood: Any


class TwoNetworks(NoisyLabelModel):
    """Two networks of one kind that see the same view of each image.

    A subclass says in `choose` which samples each of them learns from. Predictions and
    evaluation are the first network's, `student`. What is minimised is the sum of the
    two networks' means; the metric `loss` is the mean over all samples that they learn
    from.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        peer: The second network; None makes one as `network`, with initial weights of
            its own, but for those that are not trained, such as of a frozen layer or
            an adapted `Normalization`, which are the first one's. For a pretrained
            network pass another one that is pretrained. Initializers with a fixed seed
            would make the two equal, which is refused, since they could never disagree.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The first network.
        peer: The second network.

    Raises:
        TypeError: If a network or `augmentation` is of the wrong type.
        ValueError: If a network does not end in C logits, or both have equal weights.
    """

    needs_two_views = False
    verdicts = ("clean",)
    training_metrics: ClassVar[tuple] = ("clean_fraction", "disagreement")

    serialized = (*NoisyLabelModel.serialized, "peer")

    def __init__(self, network, num_classes, augmentation=None, peer=None, **kwargs):
        def make_peer(student):
            made = check_network(_peer_of(student, peer), num_classes)
            _check_different(student, made)
            return made

        further = {"peer": make_peer}
        super().__init__(network, num_classes, augmentation, further=further, **kwargs)
        self.make_metrics()

    def trained_networks(self):
        """The networks that a gradient changes."""
        return [self.student, self.peer]

    def choose(self, labels, logits_a, logits_b):
        """Which samples each network learns from, and what.

        Args:
            labels: `(N,)` integer given labels.
            logits_a: `(N, C)` of the first network.
            logits_b: `(N, C)` of the second.

        Returns:
            A `Choice`.
        """
        raise NotImplementedError

    def train_step(self, *arguments):
        """One step of both networks on one batch."""
        return self.step(arguments, self.learn)

    def learn(self, batch):
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

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "peer": keras.saving.serialize_keras_object(self.peer)
        }


def _peer_of(network, peer):
    """The given peer, or one as `network` with initial weights of its own."""
    if peer is not None:
        return peer
    peer = keras.models.clone_model(network)
    if not peer.weights:
        raise ValueError(
            f"The network {network.name!r} can't be cloned for the peer: the clone has "
            "no weights. Pass a second network as `peer`."
        )
    pairs = zip(peer.non_trainable_weights, network.non_trainable_weights, strict=True)
    for ours, theirs in pairs:
        ours.assign(theirs)
    return peer


def likelihood_of(per_sample):
    """A loss in nats as a likelihood in [0, 1]: `exp(-loss)`."""
    return ops.clip(ops.exp(-per_sample), 0.0, 1.0)


def cross_entropies(labels, *logits):
    """Cross-entropy of each network's logits, `(N,)` in nats."""
    return [losses.cross_entropy(labels, each) for each in logits]


def _check_different(student, peer):
    ours, theirs = student.get_weights(), peer.get_weights()
    alike = [a.shape for a in ours] == [b.shape for b in theirs]
    if alike and all((a == b).all() for a, b in zip(ours, theirs, strict=True)):
        raise ValueError(
            "Expected two networks with different weights. Received: a peer equal to "
            f"{student.name!r}, which would never disagree with it. Leave the seeds of "
            "the initializers open, or pass another network as `peer`."
        )
