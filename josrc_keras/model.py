"""Jo-SRC as a `keras.Model`: Algorithm 1 of the paper in `train_step`."""

from typing import ClassVar

import keras
from keras import ops

from josrc_keras import _checks, divergence, losses, metrics, selection, teacher
from josrc_keras import labels as label_distributions
from josrc_keras.adaptive import targets as adaptive_targets
from josrc_keras.adaptive.mixup import check_mixup
from josrc_keras.adaptive.model import Outcome, Trusting, mean_probs
from josrc_keras.networks import check_network
from josrc_keras.samples.numbering import Recorded
from josrc_keras.training.base import NoisyLabelModel, weighted

TEACHER_VIEWS = ("both", "first")
TEACHER_STATISTICS = ("batch", "moving")
EVALUATED = ("both", "student", "teacher")
JUDGES = ("teacher", "student")
UNCLEAN_WEIGHTS = ("confidence", "one", "zero")


@keras.saving.register_keras_serializable(package="josrc_keras")
class JoSRC(Recorded, Trusting, NoisyLabelModel):
    """Trains a classifier on labels that are partly wrong (Yao et al., CVPR 2021).

    Each step predicts two views of every image with the student, sorts the batch into
    clean, in-distribution noisy and out-of-distribution samples, gives the unclean
    ones new labels from a mean teacher, and minimises the joint loss. `fit` needs the
    callbacks `CleanThreshold` and `MeanTeacher`, which set `tau_clean`, `joint` and
    `teacher_decay`.

    Training data yields `(image, label)`, of which the model makes two views with
    `augmentation`, or `({"view_a", "view_b"}, label)`. Labels are integers `(N,)`,
    one-hot rows `(N, C)`, or a dict of `label` with any of `true_label` (-1 = out of
    distribution), which feeds metrics only, and `index`, the sample's number in the
    dataset, for `VerdictHistory` and `LabelTrust`. Sample weights multiply a sample's
    loss, and so do class weights (by given label) where labels are no dict.

    ```python
    model = JoSRC(networks.cnn7(80), 80, augmentation=views.crop_and_flip())
    model.compile(optimizer=keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    model.fit(train, epochs=200, callbacks=[CleanThreshold(), MeanTeacher()])
    ```

    With `samples`, selection is not by one forward pass and a threshold that climbs:
    the model keeps how far each label is trusted, which the callback `LabelTrust`
    (instead of `CleanThreshold`) finds from what the epochs before predicted, see
    `josrc_keras.adaptive.trust`. `josrc_keras.recipes` has the arguments and callbacks of both.
    The metric `clean_likelihood` is then the mean of that trust, not of eq. 3.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`: the student. The
            teacher is a copy of it.
        num_classes: C, at least 2.
        smoothing: The paper's epsilon (eq. 5), in `[0, (C - 1) / C)`.
        alpha: Weight of the consistency term (eq. 10), in [0, 1].
        tau_ood: Threshold on the out-of-distribution likelihood, in (0, 1).
        scale: The paper's s (eq. 7), positive.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`; None if the data brings both views.
        consistency_base: Base of the logarithm of eq. 9. The paper does not say; its
            published code uses 2, to which its alpha belongs.
        inclusive: Whether a likelihood equal to its threshold passes. The paper writes
            `>` (False), its published code `>=`.
        teacher_views: `"both"`: the teacher's label is the mean of its predictions on
            both views, as in the published code; `"first"`: on the first, which is
            the paper's p(x; teacher) read literally.
        teacher_statistics: What the teacher's batch normalisation uses in training:
            `"batch"` (as in the published code) or `"moving"` statistics. Either way
            its moving statistics fit its weights, so it can be evaluated. With
            `"batch"` the teacher's dropout is active too, if it has any.
        relabel: Which unclean samples are re-labelled and trained on after the warm-up:
            any of `"in_distribution"` and `"out_of_distribution"`. The ablation of
            the paper's Table 6 is `()` (Jo-SRC-C), `("in_distribution",)` (-CI) and
            both (-CIO), each with `alpha=0`.
        bounded: Whether the consistency term can't run away; see
            `losses.consistency_loss`. With `samples` it always is bounded, and compares
            the student with the teacher.
        samples: Number of training samples, to trust each label by its history; their
            labels come with an `index`. None: the paper's selection.
        judge: With `samples`, whose predictions the history holds: the `"teacher"`'s,
            or the `"student"`'s, on what it is trained on, which is blended.
        mixup: With `samples`, how much of another image the student's views may be
            blended with, in [0, 1]; see `josrc_keras.adaptive.mixup`. What `fit` reports of the
            student's accuracy on training images is on blended ones.
        temperature: With `samples`, of the teacher's predictions as targets, positive.
        unclean_weight: With `samples`, how much a target counts as far as the label is
            not trusted: the teacher's `"confidence"`, its largest probability, which
            is small for images of no class; `"one"` or `"zero"`.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher, a plain `keras.Model` as well.
        tau_clean: Variable, the threshold on the clean likelihood, in [0, 1].
        joint: Variable, 1 once the warm-up is over: all samples and eq. 10; 0 before:
            clean samples and eq. 11 alone.
        teacher_decay: Variable, omega of eq. 8, in [0, 1].
        sample_history: What `VerdictHistory` recorded of each sample, or None.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
        RuntimeError: If the backend can't train it.
    """

    required_controls: ClassVar[dict] = {
        "tau_clean": "CleanThreshold(tau_c=0.75, tau_m=0.95, warmup_epochs=10)",
        "teacher_decay": "MeanTeacher(decay=0.99)",
    }
    verdicts = metrics.KINDS
    training_metrics = (
        "classification_loss",
        "consistency_loss",
        "clean_likelihood",
        "clean_fraction",
        "id_fraction",
        "ood_fraction",
        "tau_clean",
    )
    evaluation_metrics = ("teacher_loss", "teacher_accuracy")

    def __init__(
        self,
        network,
        num_classes,
        smoothing=0.6,
        alpha=0.5,
        tau_ood=0.5,
        scale=10.0,
        augmentation=None,
        *,
        consistency_base=2.0,
        inclusive=False,
        teacher_views="both",
        teacher_statistics="batch",
        relabel=selection.UNCLEAN,
        bounded=False,
        samples=None,
        judge="teacher",
        mixup=0.0,
        temperature=1.0,
        unclean_weight="confidence",
        **kwargs,
    ):
        _checks.check_backend("tensorflow", "jax")
        super().__init__(**kwargs)
        self.student = check_network(network, num_classes)
        self.teacher = teacher.clone(network)
        self.num_classes = num_classes
        self.smoothing = label_distributions.check_smoothing(smoothing, num_classes)
        self.alpha = losses.check_alpha(alpha)
        self.tau_ood = selection.check_tau_ood(tau_ood)
        self.scale = label_distributions.check_scale(scale)
        self.augmentation = _checks.check_augmentation(augmentation)
        self.consistency_base = divergence.check_base(consistency_base)
        self.inclusive = inclusive
        self.teacher_views = _checks.check_choice(
            "teacher_views", teacher_views, TEACHER_VIEWS
        )
        self.teacher_statistics = _checks.check_choice(
            "teacher_statistics", teacher_statistics, TEACHER_STATISTICS
        )
        self.relabel = selection.check_unclean(relabel)
        self.bounded = bounded
        self.samples = samples
        self.judge = _checks.check_choice("judge", judge, JUDGES)
        self.mixup = check_mixup(mixup)
        self.mixup_seed = keras.random.SeedGenerator() if samples else None
        self.temperature = adaptive_targets.check_temperature(temperature)
        self.unclean_weight = _checks.check_choice(
            "unclean_weight", unclean_weight, UNCLEAN_WEIGHTS
        )
        self.evaluated = "both"
        self.make_variables("tau_clean", "joint", "teacher_decay")
        self.make_label_trust(samples)
        self.make_metrics()
        self._teacher_loss = keras.metrics.Mean(name="teacher_loss")
        self._teacher_accuracy = keras.metrics.SparseCategoricalAccuracy(
            name="teacher_accuracy"
        )
        self.built = True

    def needed_controls(self):
        """As the base class; with `samples` trust instead of a threshold."""
        needed = dict(self.required_controls)
        if self.samples is not None:
            needed.pop("tau_clean")
            needed = {"label_trust": "LabelTrust()", **needed}
        return needed

    # Training: Algorithm 1.

    def train_step(self, *arguments):
        """One step of Algorithm 1 on one batch.

        On JAX Keras passes `(state, data)`, on TensorFlow `(data,)`.
        """
        batch, state = self.start_step(arguments)

        def objective():
            # Two views of each image.
            view_a, view_b = self.make_views(batch.images)
            # What student and teacher predict of them, which samples are clean, what
            # the others are to be learnt as: eq. 2 to 11, or by trust in each label.
            step = self.paper_objective
            if self.samples is not None:
                step = self.trusting_objective
            outcome, logits, judged = step(view_a, view_b, batch)
            penalty = self.penalty()
            loss = self.mean_over(outcome.joint, outcome.included, batch.sample_weight)
            loss += self.per_replica(penalty)
            return loss, (logits, judged, outcome, penalty)

        def finish(found):
            self.update_teacher()  # eq. 8
            return self.record_step(batch, *found)

        return self.descend(state, objective, finish)

    def paper_objective(self, view_a, view_b, batch):
        """What student and teacher predict of both views, and eq. 2 to 11.

        Returns:
            An `Outcome`, the student's logits on the first view, and both views' logits
            that the history is made of.
        """
        # What student and teacher predict of both views.
        logits_a = self.student(view_a, training=True)
        logits_b = self.student(view_b, training=True)
        teacher_probs = self.teacher_probs_if_needed(view_a, view_b, logits_a)
        # Which samples are clean, what the others are to be learnt as: eq. 2 to 11.
        outcome = self.joint_objective(logits_a, logits_b, teacher_probs, batch)
        return outcome, logits_a, [logits_a, logits_b]

    def joint_objective(self, logits_a, logits_b, teacher_probs, batch):
        """Selection, re-labelling and joint loss, sample by sample."""
        # Which samples are clean, in-distribution noise, out of distribution?
        probs_a = ops.softmax(ops.cast(logits_a, "float32"))
        label_probs = label_distributions.smooth_labels(  # eq. 5
            batch.labels, self.num_classes, self.smoothing
        )
        likelihood = selection.clean_likelihood(probs_a, label_probs)  # eq. 3
        selected = selection.select(
            likelihood,
            selection.ood_likelihood(logits_a, logits_b),  # eq. 4
            tau_clean=self.tau_clean,
            tau_ood=self.tau_ood,
            inclusive=self.inclusive,
        )
        # What is each of them to be learnt as?
        targets = label_distributions.reassign(  # eq. 5 to 7
            selected, label_probs, teacher_probs, self.scale
        )
        # Before the end of the warm-up: the clean samples, and eq. 11 alone.
        unclean = selection.union(selected, self.relabel)
        included = ops.logical_or(
            selected.clean, ops.logical_and(unclean, self.joint > 0)
        )
        classification = losses.classification_loss(logits_a, logits_b, targets)
        consistency = losses.consistency_loss(  # eq. 9
            logits_a,
            logits_b,
            selected.out_of_distribution,
            self.consistency_base,
            self.bounded,
        )
        joint = losses.joint_loss(classification, consistency, self.alpha * self.joint)
        return Outcome(
            likelihood, selected, included, classification, consistency, joint
        )

    def make_views(self, images):
        """Both views of the images, given or drawn."""
        if isinstance(images, dict):
            return images["view_a"], images["view_b"]
        return (
            self.augmentation(images, training=True),
            self.augmentation(images, training=True),
        )

    def teacher_probs_if_needed(self, view_a, view_b, logits):
        """`teacher_probs`; zeros in the warm-up, when no sample is re-labelled."""
        probs = self.only_if(
            self.joint > 0,
            lambda: self.teacher_probs(view_a, view_b),
            ops.zeros_like(logits, dtype="float32"),
            reads=self.teacher.variables,
            assigns=teacher.statistics_of(self.teacher, self.student),
        )
        return ops.stop_gradient(probs)

    def teacher_probs(self, view_a, view_b):
        """The teacher's prediction q: `(N, C)` probabilities in float32."""
        return mean_probs(self.teacher_logits(view_a, view_b))

    def teacher_logits(self, view_a, view_b):
        """The teacher's logits on the views that it sees, `(N, C)` each."""
        seen = (view_a, view_b) if self.teacher_views == "both" else (view_a,)
        batch_statistics = self.teacher_statistics == "batch"
        return [self.teacher(view, training=batch_statistics) for view in seen]

    def update_teacher(self):
        """Moves the teacher a step towards the student (eq. 8)."""
        teacher.update(
            self.teacher,
            self.student,
            self.teacher_decay,
            statistics=self.teacher_statistics,
            predicted=self.joint,
        )

    def record_step(self, batch, logits, judged, outcome, penalty):
        """Updates every metric with a batch; returns their values.

        Args:
            batch: A `contract.Batch`.
            logits: `(N, C)` the student's on the first view.
            judged: Logits `(N, C)` that the history is made of, of one or two views.
            outcome: An `Outcome`.
            penalty: The networks' own losses, as the step minimised them.
        """
        joint, classification, consistency = (
            weighted(each, batch.sample_weight)
            for each in (outcome.joint, outcome.classification, outcome.consistency)
        )
        self.record_loss(joint + penalty, outcome.included)
        trained = ops.cast(outcome.included, "float32")
        clean, in_distribution, out_of_distribution = outcome.selected
        updates = {
            "classification_loss": (classification, trained),
            "consistency_loss": (consistency, trained),
            "clean_likelihood": (outcome.likelihood,),
            "clean_fraction": (clean,),
            "id_fraction": (in_distribution,),
            "ood_fraction": (out_of_distribution,),
            "tau_clean": (self.tau_clean,),
        }
        for name, update in updates.items():
            self._training_means[name].update_state(*update)
        self.record_truth(batch, logits, outcome.selected, outcome.likelihood)
        self.record_findings(batch, outcome.selected, judged[0], judged[-1])
        return self.compute_metrics(
            None, batch.labels, logits, sample_weight=batch.sample_weight
        )

    # Evaluation: the student, and beside it the teacher.

    def network_to_evaluate(self):
        """The network that the loss and the compiled metrics judge."""
        return self.teacher if self.evaluated == "teacher" else self.student

    def evaluate_batch(self, batch):
        """Updates the losses with a batch; returns the logits that metrics judge."""
        if self.evaluated == "both":
            images = self.seen_in_evaluation(batch.images)
            logits = self.teacher(images, training=False)
            label = batch.integer_labels()
            self._teacher_loss.update_state(
                losses.cross_entropy(label, logits), batch.sample_weight
            )
            self._teacher_accuracy.update_state(label, logits, batch.sample_weight)
        return super().evaluate_batch(batch)

    def get_metrics_result(self):
        """As the base class; the teacher's own only where both are evaluated."""
        results = super().get_metrics_result()
        if self.evaluated != "both":
            for name in self.evaluation_metrics:
                results.pop(name, None)
        return results

    def set_evaluated(self, evaluated):
        """Chooses what `evaluate` reports: `"student"`, `"teacher"` or `"both"`.

        With `"both"`, the loss and the compiled metrics are the student's, and
        `teacher_loss` and `teacher_accuracy` stand beside them.

        Raises:
            ValueError: For any other value.
        """
        _checks.check_choice("evaluated", evaluated, EVALUATED)
        if evaluated != self.evaluated:
            self.evaluated = evaluated
            self.test_function = None  # It is compiled for what it evaluates.

    def compile(self, *args, **kwargs):
        """Configures training; see the base class. Frozen layers freeze in both."""
        teacher.follow_freezing(self.teacher, self.student)
        super().compile(*args, **kwargs)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.student),
            "num_classes": self.num_classes,
            "smoothing": self.smoothing,
            "alpha": self.alpha,
            "tau_ood": self.tau_ood,
            "scale": self.scale,
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "consistency_base": self.consistency_base,
            "inclusive": self.inclusive,
            "teacher_views": self.teacher_views,
            "teacher_statistics": self.teacher_statistics,
            "relabel": self.relabel,
            "bounded": self.bounded,
            "samples": self.samples,
            "judge": self.judge,
            "mixup": self.mixup,
            "temperature": self.temperature,
            "unclean_weight": self.unclean_weight,
        }
