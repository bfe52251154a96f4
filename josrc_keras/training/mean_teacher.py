"""A student, its mean teacher and two views: what both Jo-SRC methods share."""

import contextlib
from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras import _checks, losses, metrics, teacher
from josrc_keras.audit import table as audit_table
from josrc_keras.samples import evidence, findings, numbering
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.reporting import weighted
from josrc_keras.training.step import Outcome

TEACHER_VIEWS = ("both", "first")
TEACHER_STATISTICS = ("batch", "moving")
EVALUATED = ("both", "student", "teacher")


class MeanTeacherModel(NoisyLabelModel):
    """A model that trains a student and keeps a mean teacher of it (eq. 8).

    A subclass overrides `train_step`, and says in `delivers` which of the two networks
    answers: in `predict`, in `model.export`, and in the loss and the compiled metrics
    of `evaluate`, beside which the other one's stand by name.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`: the student. The
            teacher is a copy of it.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`; None if the data brings both views.
        teacher_views: `"both"`: the teacher predicts the mean of its probabilities on
            both views; `"first"`: those on the first view.
        teacher_statistics: What the teacher's batch normalisation uses in training:
            `"batch"` or `"moving"` statistics. Either way its moving statistics fit its
            weights, so that it can be evaluated. With `"batch"` the teacher's dropout
            is active too, if it has any.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher, a plain `keras.Model` as well.
        tau_clean: Variable in [0, 1]: the threshold above which a label counts as
            clean.
        joint: Variable, 1 once samples are re-labelled by the teacher, 0 before.
        teacher_decay: Variable, omega of eq. 8, in [0, 1].
        epoch_findings: A `samples.findings.EpochFindings` while a callback records what
            the epoch finds of each sample, else None.
        sample_history: The `samples.history.SampleHistory` that `VerdictHistory`
            gathered, or None.
    """

    delivers: ClassVar[str] = "student"
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
    epoch_findings: Any = None
    sample_history: Any = None

    def __init__(
        self,
        network,
        num_classes,
        augmentation=None,
        *,
        teacher_views="both",
        teacher_statistics="batch",
        **kwargs,
    ):
        further = {"teacher": teacher.clone}
        super().__init__(network, num_classes, augmentation, further=further, **kwargs)
        self.teacher_views = _checks.check_choice(
            "teacher_views", teacher_views, TEACHER_VIEWS
        )
        self.teacher_statistics = _checks.check_choice(
            "teacher_statistics", teacher_statistics, TEACHER_STATISTICS
        )
        self.evaluated = "both"
        self.make_variables("tau_clean", "joint", "teacher_decay")

    def make_metrics(self):
        """Creates the metrics, those of the network that does not answer included."""
        super().make_metrics()
        loss_name, accuracy_name = self.evaluation_metrics
        self._other_loss = keras.metrics.Mean(name=loss_name)
        self._other_accuracy = keras.metrics.SparseCategoricalAccuracy(accuracy_name)

    # The parts of a step.

    def two_views(self, images):
        """Both views of the images, given or drawn."""
        if isinstance(images, dict):
            return images["view_a"], images["view_b"]
        return (
            self.augmentation(images, training=True),
            self.augmentation(images, training=True),
        )

    def teacher_logits(self, view_a, view_b):
        """The teacher's logits on the views that it sees, a list of `(N, C)`."""
        seen = (view_a, view_b) if self.teacher_views == "both" else (view_a,)
        batch_statistics = self.teacher_statistics == "batch"
        return [self.teacher(view, training=batch_statistics) for view in seen]

    def teacher_probs(self, view_a, view_b):
        """The teacher's prediction q: `(N, C)` probabilities in float32.

        Zeros while `joint` is 0, when no sample is re-labelled: the teacher, whose
        forward passes take a fifth of a step, does not predict then.
        """
        probs = self.only_if(
            self.joint > 0,
            lambda: mean_probs(self.teacher_logits(view_a, view_b)),
            ops.zeros((ops.shape(view_a)[0], self.num_classes), "float32"),
            reads=self.teacher.variables,
            assigns=teacher.statistics_of(self.teacher, self.student),
        )
        return ops.stop_gradient(probs)

    def update_teacher(self):
        """Moves the teacher a step towards the student (eq. 8)."""
        teacher.update(
            self.teacher,
            self.student,
            self.teacher_decay,
            statistics=self.teacher_statistics,
            predicted=self.joint,
        )

    def outcome(
        self, batch, logits, *, selected, likelihood, losses_of, included, evidence
    ):
        """An `Outcome` with the metrics that both methods report.

        Args:
            batch: A `contract.Batch`.
            logits: `(N, C)` the student's on the first view.
            selected: A `selection.Selection`.
            likelihood: `(N,)` in [0, 1], 1 for what looks clean.
            losses_of: The classification loss, the consistency loss and the joint
                loss, each `(N,)`.
            included: `(N,)` boolean: the samples to train on.
            evidence: `(N, C)` logits of both views, which the history is made of.
        """
        classification, consistency, joint = losses_of
        clean, in_distribution, out_of_distribution = selected
        trained = ops.cast(included, "float32")
        means = {
            "classification_loss": (
                weighted(classification, batch.sample_weight),
                trained,
            ),
            "consistency_loss": (weighted(consistency, batch.sample_weight), trained),
            "clean_likelihood": (likelihood,),
            "clean_fraction": (clean,),
            "id_fraction": (in_distribution,),
            "ood_fraction": (out_of_distribution,),
            "tau_clean": (ops.convert_to_tensor(self.tau_clean),),
        }
        return Outcome(
            logits, ((joint, included),), means, selected, likelihood, evidence
        )

    def update_metrics(self, batch, outcome, penalty):
        """As the base class; remembers what was found of each sample, if asked to."""
        self._remember(batch, outcome)
        return super().update_metrics(batch, outcome, penalty)

    # What an epoch finds of each sample.

    @property
    def metrics(self):
        """As Keras, and the table, so that it is passed on with them."""
        found = super().metrics
        return found if self.epoch_findings is None else [*found, self.epoch_findings]

    def record_epochs_of(self, count):
        """Records what each epoch finds of `count` samples; nothing where None."""
        made = None
        if count is not None:
            with _scope(self):
                made = findings.EpochFindings(count)
        # Keras can't remove an attribute that it tracks, so this one is not tracked.
        self.__dict__["epoch_findings"] = made
        if self.train_function is not None:
            self.make_train_function(force=True)

    def _remember(self, batch, outcome):
        """Writes a batch's verdicts and what its predictions say into the table."""
        if self.epoch_findings is None:
            return
        index = numbering.of_batch(batch)
        labels = batch.integer_labels()
        columns = {"label": labels, **outcome.selection._asdict()}
        columns |= evidence.of_views(*outcome.evidence, labels)
        self.epoch_findings.update_state(index, columns)

    def before_fit(self, given):
        """Numbers the samples of arrays, if a callback remembers them."""
        numbering.number_samples(given, given["callbacks"])

    def after_failed_fit(self):
        """As the base class; ends the recording."""
        super().after_failed_fit()
        if self.epoch_findings is not None:
            self.record_epochs_of(None)

    def audit(self, x, y=None, **options):
        """What is known about each sample's label; see `josrc_keras.audit.audit`.

        Args:
            x: Images `(N, H, W, channels)`, or a dataset of `(image, label)`,
                unshuffled.
            y: Labels, where `x` is images.
            **options: Further arguments of `josrc_keras.audit.audit`.

        Returns:
            A `pandas.DataFrame`, a row a sample in dataset order.
        """
        return audit_table.audit(self, x, y, **options)

    # Evaluation and prediction: one network answers, the other stands beside it.

    def call(self, images, training=False):
        """The logits `(N, C)` of the network that answers, on the first view."""
        network = getattr(self, self.delivers)
        return network(self.seen_in_evaluation(images), training=training)

    def network_to_evaluate(self):
        """The network that the loss and the compiled metrics judge."""
        both = self.evaluated == "both"
        return getattr(self, self.delivers if both else self.evaluated)

    def evaluate_batch(self, batch):
        """Updates the losses with a batch; returns the logits that metrics judge."""
        if self.evaluated == "both":
            other = self.student if self.delivers == "teacher" else self.teacher
            logits = other(self.seen_in_evaluation(batch.images), training=False)
            label = batch.integer_labels()
            self._other_loss.update_state(
                losses.cross_entropy(label, logits), batch.sample_weight
            )
            self._other_accuracy.update_state(label, logits, batch.sample_weight)
        return super().evaluate_batch(batch)

    def get_metrics_result(self):
        """As the base class; the other network's own only where both are evaluated."""
        results = super().get_metrics_result()
        if self.evaluated != "both":
            for name in self.evaluation_metrics:
                results.pop(name, None)
        return results

    def set_evaluated(self, evaluated):
        """Chooses what `evaluate` reports: `"student"`, `"teacher"` or `"both"`.

        With `"both"`, the loss and the compiled metrics are those of the network that
        answers, and `evaluation_metrics` are the other one's.

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


def mean_probs(logits):
    """The mean of the probabilities of a list of logits, `(N, C)` float32."""
    probs = [ops.softmax(ops.cast(each, "float32")) for each in logits]
    return sum(probs) / len(probs)


def _scope(model):
    """Where variables are made that belong to the model's replicas."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()
