"""The adaptive method as a `keras.Model`: trust in each label by its history."""

from typing import Any, ClassVar, Literal

import keras
from absl import logging
from keras import ops

from josrc_keras import _checks, divergence, losses, selection
from josrc_keras import labels as label_distributions
from josrc_keras.adaptive import leave_one_out
from josrc_keras.adaptive import mixup as blending
from josrc_keras.adaptive import targets as trusted_targets
from josrc_keras.adaptive.rule import TrustRule
from josrc_keras.data.checks import contract
from josrc_keras.devices import replicas
from josrc_keras.networks import features
from josrc_keras.samples import numbering
from josrc_keras.training.mean_teacher import MeanTeacherModel, mean_probs

STUDENT_VIEWS = ("both", "second")


@keras.saving.register_keras_serializable(package="josrc_keras")
class AdaptiveJoSRC(MeanTeacherModel):
    """Trains a classifier on labels of which an unknown share is wrong.

    `JoSRC` sorts a batch by one prediction and a threshold that climbs. This model
    keeps a trust in each label instead: the probability that the label is right, which
    `LabelTrust` computes from the predictions of earlier epochs. The targets lie
    between the given label and the mean teacher's prediction, by that trust. The model
    has no threshold to tune and need not be told the noise rate.
    `josrc_keras.adaptive.trust` has the formulas.

    `predict`, `evaluate`, the compiled metrics, `model.export` and callbacks that watch
    `val_loss` or `val_accuracy` use the teacher. Evaluation also reports `student_loss`
    and `student_accuracy`. In training, the compiled metrics are those of the student
    on blended views.

    `fit` needs the callbacks `LabelTrust` and `MeanTeacher`, which `recipes.adaptive`
    makes, and takes data as `JoSRC` does. `fit` numbers the samples of arrays itself. A
    dataset has to yield labels as a dict of `label` and `index`, the sample's number
    before shuffling.

    ```python
    recipe = recipes.adaptive(
        num_classes=10, num_samples=len(images), batch_size=64, epochs=40
    )
    model = AdaptiveJoSRC(network, 10, augmentation=augmentation, **recipe.model)
    model.compile("adam", metrics=["accuracy"])
    model.fit(images, labels, batch_size=64, epochs=40, callbacks=recipe.callbacks)
    ```

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`: the student. The
            teacher is a copy of it.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`; None if the data has both views.
        mixup: How much of another image the student's views may be blended with, in
            [0, 1]; see `josrc_keras.adaptive.mixup`.
        rule: A `TrustRule`, the constants of the method.
        student_views: Views that the student learns from: `"both"`, or the `"second"`
            alone, which halves the arithmetic of a step if the teacher sees the
            `"first"` alone.
        teacher_views: `"both"` or `"first"`, see `MeanTeacherModel`.
        teacher_statistics: `"batch"` or `"moving"`, see `MeanTeacherModel`.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher, also a plain `keras.Model`.
        label_trust: Variable `(num_samples,)` in [0, 1], which `LabelTrust` sets at the
            end of every epoch: the probability that a label is right.
        sample_history: What `LabelTrust` recorded of each sample, or None.

    Raises:
        TypeError: If `network`, `augmentation` or `rule` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
        RuntimeError: If Keras's backend is neither TensorFlow nor JAX.
    """

    delivers = "teacher"
    controls: ClassVar[dict] = {
        "label_trust": "LabelTrust()",
        "teacher_decay": "MeanTeacher(decay=0.99)",
    }
    serialized = (*MeanTeacherModel.serialized, "rule")
    evaluation_metrics = ("student_loss", "student_accuracy")

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        *,
        mixup: float = 1.0,
        rule: TrustRule = TrustRule(),  # noqa: B008  (it is frozen)
        student_views: Literal["both", "second"] = "both",
        teacher_views: Literal["both", "first"] = "both",
        teacher_statistics: Literal["batch", "moving"] = "batch",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            network,
            num_classes,
            augmentation,
            teacher_views=teacher_views,
            teacher_statistics=teacher_statistics,
            **kwargs,
        )
        if not isinstance(rule, TrustRule):
            raise TypeError(f"Expected `rule` as a TrustRule. Received: {rule!r}.")
        label_distributions.check_smoothing(rule.smoothing, num_classes)
        if num_samples is None or num_samples < 1:
            raise ValueError(
                "Expected `num_samples`, the number of training samples, of at least "
                f"1. Received: {num_samples}."
            )
        self.num_samples = num_samples
        self.student_views = _checks.check_choice(
            "student_views", student_views, STUDENT_VIEWS
        )
        self.mixup = blending.check_mixup(mixup)
        self.mixup_seed = keras.random.SeedGenerator()
        self.rule = rule
        if rule.leave_one_out:
            network, width = features.with_last_inputs(self.teacher)
            _check_width(self.teacher, width)
            self.recorded_features = width or num_classes
            # Keras would track the layers, which the teacher has already, once more.
            self.__dict__["_with_inputs"] = network
        self.label_trust = self.add_weight(
            name="label_trust",
            shape=(num_samples,),
            initializer="ones",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.make_metrics()

    @property
    def smoothing(self) -> float:
        """The smoothing of the given labels (eq. 5)."""
        return self.rule.smoothing

    def views_of_networks(self) -> tuple[int, int]:
        """Number of views that the student and the teacher predict in a step."""
        _, teacher = super().views_of_networks()
        return 1 + (self.student_views == "both"), teacher

    @property
    def judges_by_two_views(self) -> bool:
        """Whether the history holds predictions of two views of each image."""
        by_teacher = self.rule.judge == "teacher"
        return (self.teacher_views if by_teacher else self.student_views) == "both"

    def data_contract(self) -> contract.Contract:
        """What this model expects of its data, sample numbers included."""
        return super().data_contract()._replace(num_samples=self.num_samples)

    def train_step(self, *arguments: Any) -> Any:
        """One step on one batch. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            rule = self.rule
            # The teacher predicts the images' views.
            views = self.two_views(batch.images)
            teacher_logits, kept = self._teacher_outputs(views)
            teacher_probs = ops.stop_gradient(mean_probs(teacher_logits))
            # The student predicts its views, each blended with the next image's view.
            learnt = views if self.student_views == "both" else views[1:]
            shares = [self._shares(batch) for _ in learnt]
            logits = [
                self.student(blending.blend(view, share), training=True)
                for view, share in zip(learnt, shares, strict=True)
            ]
            # Each label is trusted as far as its history bears it out.
            trust = ops.take(
                ops.convert_to_tensor(self.label_trust), self._rows_of(batch), axis=0
            )
            selected = self._judged_by(trust, teacher_probs)
            # The target lies between the label and the teacher's sharpened prediction.
            targets = trusted_targets.trusted(
                label_distributions.smooth_labels(
                    batch.labels, self.num_classes, rule.smoothing
                ),
                trusted_targets.temper(teacher_probs, rule.temperature),
                trust,
                trusted_targets.weight(teacher_probs, rule.unclean_weight),
            )
            # The loss is cross-entropy on each view, and a bounded consistency term.
            classification = sum(
                losses.soft_cross_entropy(each, blending.blend(targets, share))
                for each, share in zip(logits, shares, strict=True)
            )
            classification += self._unlearning(batch, trust, logits, shares)
            consistency = divergence.js_divergence(
                mean_probs(logits),
                blending.blend(teacher_probs, sum(shares) / len(shares)),
            )
            joint = losses.joint_loss(classification, consistency, rule.alpha)
            judged = teacher_logits if rule.judge == "teacher" else logits
            return self.outcome(
                batch,
                logits[0],
                selected=selected,
                likelihood=trust,
                losses_of=(classification, consistency, joint),
                included=ops.ones_like(selected.clean),
                evidence=[ops.stop_gradient(judged[i]) for i in (0, -1)],
                features=self._features_to_keep(kept, batch.sample_weight),
            )

        return self.step(arguments, learn, then=self.update_teacher)

    def _teacher_outputs(self, views):
        """The teacher's logits on each view that it sees, and features to keep."""
        if not self.rule.leave_one_out:
            return self.teacher_logits(*views), None
        seen = views if self.teacher_views == "both" else views[:1]
        batch_statistics = self.teacher_statistics == "batch"
        outputs = [self._with_inputs(view, training=batch_statistics) for view in seen]
        inputs = [ops.cast(each, "float32") for each, _ in outputs]
        logits = [each for _, each in outputs]
        return logits, ops.stop_gradient(sum(inputs) / len(inputs))

    def _features_to_keep(self, kept, sample_weight):
        """Directions of features, and zeros for samples that must not be learnt."""
        if kept is None or sample_weight is None:
            return kept if kept is None else features.directions(kept)
        counts = ops.expand_dims(ops.cast(sample_weight, "float32") > 0, -1)
        return ops.where(counts, features.directions(kept), 0.0)

    def _shares(self, batch):
        """`(N,)` how much each image keeps of itself when it is blended."""
        count = ops.shape(batch.labels)[0]
        drawn = blending.draw(count, self.mixup, self.mixup_seed)
        return blending.alone_if_ignored(drawn, batch.sample_weight)

    def _unlearning(self, batch, trust, logits, shares):
        """`(N,)`: loss of what samples with a doubted label are learnt not to be."""
        rule = self.rule
        if not (rule.forgetting or rule.negative):
            return 0.0
        labels, classes = batch.integer_labels(), self.num_classes
        against = rule.forgetting * ops.one_hot(labels, classes)
        if rule.negative:
            other = blending.draw_others(labels, classes, self.mixup_seed)
            against += rule.negative * ops.one_hot(other, classes)
        against *= ops.expand_dims(1.0 - trust, -1)
        return sum(
            losses.complementary_cross_entropy(each, blending.blend(against, share))
            for each, share in zip(logits, shares, strict=True)
        )

    def _rows_of(self, batch):
        """`(N,)` the numbers of the batch's samples, as rows of `label_trust`."""
        index = ops.cast(numbering.of_batch(batch), "int32")
        return ops.clip(index, 0, self.num_samples - 1)

    def _judged_by(self, trust, teacher_probs):
        """The three-way partition that metrics and the audit use.

        Samples with a doubted label are unclean. They are out-of-distribution where the
        teacher is much less sure of them (`rule.tau_ood`) than of clean samples.
        """
        clean = trust > self.rule.doubt
        confidence = ops.max(teacher_probs, axis=-1)
        trusted = ops.cast(clean, "float32")
        confidences = replicas.global_sum(ops.sum(trusted * confidence))
        typical = confidences / ops.maximum(replicas.global_sum(ops.sum(trusted)), 1.0)
        unsure = confidence < self.rule.tau_ood * typical
        return selection.Selection(
            clean,
            ops.logical_and(ops.logical_not(clean), ops.logical_not(unsure)),
            ops.logical_and(ops.logical_not(clean), unsure),
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "num_samples": self.num_samples,
            "mixup": self.mixup,
            "rule": keras.saving.serialize_keras_object(self.rule),
            "student_views": self.student_views,
            "teacher_views": self.teacher_views,
            "teacher_statistics": self.teacher_statistics,
        }


def _check_width(network, width):
    """Refuses features that are too many, and warns of logits in their place."""
    most = leave_one_out.MOST_FEATURES
    if width > most:
        raise ValueError(
            f"Expected a last layer with at most {most} inputs, whose regression "
            f"TrustRule(leave_one_out=True) needs. Received: {width}. Put a pooling "
            "layer or a smaller Dense layer before it, or set leave_one_out=False "
            "(--config.adaptive.leave_one_out=False)."
        )
    if not width:
        logging.warning(
            "Expected a functional or sequential network whose last layer has rows of "
            "inputs, for TrustRule(leave_one_out=True). Received: %s. Its logits take "
            "their place, which tell wrong labels less well.",
            type(network).__name__,
        )
