"""The part of `JoSRC` that trusts each label as far as its history bears it out."""

from typing import Any, NamedTuple

import keras
from keras import ops

from josrc_keras import divergence, losses, selection
from josrc_keras import labels as label_distributions
from josrc_keras.adaptive import mixup
from josrc_keras.adaptive import targets as adaptive_targets
from josrc_keras.devices import replicas

# Of a tf.data.Dataset of single images and labels.
NUMBERING = (
    "dataset.enumerate().map(lambda i, pair: (pair[0], {'label': pair[1], 'index': i}))"
)
DOUBT = 0.5  # A label that is trusted less is not judged clean.
NOT_NUMBERED = (
    "A model that remembers samples needs each one's number in the dataset. Received: "
    "labels without 'index'. Pass arrays to `fit`, or number the samples of a dataset "
    f"before it is shuffled: {NUMBERING}"
)


class Outcome(NamedTuple):
    """What a step found out about its batch, a value per sample `(N,)`."""

    likelihood: Any
    selected: selection.Selection
    included: Any
    classification: Any
    consistency: Any
    joint: Any


class Trusting(keras.Model):
    """Part of a model with `samples`: what replaces eq. 3 to 7 and 11 in its step.

    Attributes:
        label_trust: Variable `(samples,)` in [0, 1], which `LabelTrust` sets at the
            end of every epoch: the probability that a label is right.
    """

    def make_label_trust(self, samples):
        """Creates the variable, all ones; None for a model without memory."""
        self.label_trust = None
        if samples is None:
            return
        if samples < 1:
            raise ValueError(
                f"Expected `samples` of at least 1, or None. Received: {samples}."
            )
        self.label_trust = self.add_weight(
            name="label_trust",
            shape=(samples,),
            initializer="ones",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )

    def trusting_objective(self, view_a, view_b, batch):
        """Targets by trust, and the losses, sample by sample.

        Args:
            view_a: `(N, H, W, channels)` the first view.
            view_b: The second one.
            batch: A `contract.Batch` with numbers.

        Returns:
            An `Outcome`, the student's logits on the first view as it saw it, and the
            logits of both views that the history is made of.
        """
        judged = self.teacher_logits(view_a, view_b)
        teacher_probs = ops.stop_gradient(mean_probs(judged))
        # Each view blended with another share of the next image.
        count = ops.shape(batch.labels)[0]
        shares = [
            mixup.alone_if_ignored(
                mixup.draw(count, self.mixup, self.mixup_seed), batch.sample_weight
            )
            for _ in range(2)
        ]
        seen = zip((view_a, view_b), shares, strict=True)
        logits = [self.student(mixup.blend(*pair), training=True) for pair in seen]
        if self.judge == "student":
            judged = logits
        trust = self.trust_of(batch)
        targets = adaptive_targets.trusted(
            label_distributions.smooth_labels(
                batch.labels, self.num_classes, self.smoothing
            ),
            adaptive_targets.temper(teacher_probs, self.temperature),
            trust,
            _weight(teacher_probs, self.unclean_weight),
        )
        classification = sum(
            losses.soft_cross_entropy(each, mixup.blend(targets, share))
            for each, share in zip(logits, shares, strict=True)
        )
        selected = self.judged_by_trust(trust, teacher_probs)
        consistency = divergence.js_divergence(
            mean_probs(logits), mixup.blend(teacher_probs, sum(shares) / 2)
        )
        joint = losses.joint_loss(classification, consistency, self.alpha)
        everyone = ops.ones_like(selected.clean)
        outcome = Outcome(trust, selected, everyone, classification, consistency, joint)
        return outcome, logits[0], [ops.stop_gradient(each) for each in judged]

    def trust_of(self, batch):
        """`(N,)` how far each label of the batch is trusted.

        Raises:
            ValueError: If the batch has no numbers.
        """
        if batch.index is None:
            raise ValueError(NOT_NUMBERED)
        index = ops.clip(ops.cast(batch.index, "int32"), 0, self.samples - 1)
        return ops.take(ops.convert_to_tensor(self.label_trust), index, axis=0)

    def judged_by_trust(self, trust, teacher_probs):
        """The three-way partition that metrics and the audit are told of.

        Unclean is what is trusted less than half; and of these out of distribution
        that of which the teacher is less than half as sure as of the samples that it
        trusts.
        """
        clean = trust > DOUBT
        confidence = ops.max(teacher_probs, axis=-1)
        trusted = ops.cast(clean, "float32")
        confidences = replicas.global_sum(ops.sum(trusted * confidence))
        typical = confidences / ops.maximum(replicas.global_sum(ops.sum(trusted)), 1.0)
        unsure = confidence < self.tau_ood * typical
        return selection.Selection(
            clean,
            ops.logical_and(ops.logical_not(clean), ops.logical_not(unsure)),
            ops.logical_and(ops.logical_not(clean), unsure),
        )


def mean_probs(logits):
    """The mean of the probabilities of some views' logits, `(N, C)` float32."""
    probs = [ops.softmax(ops.cast(each, "float32")) for each in logits]
    return sum(probs) / len(probs)


def _weight(teacher_probs, kind):
    """`(N,)` how much what the teacher says counts where the label is not trusted."""
    confidence = ops.max(teacher_probs, axis=-1)
    if kind == "confidence":
        return confidence
    return ops.full_like(confidence, 1.0 if kind == "one" else 0.0)
