"""A student, its mean teacher and two views: what both Jo-SRC methods share."""

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from josrc_keras import _checks, losses, metrics, teacher
from josrc_keras.audit import table as audit_table
from josrc_keras.data.checks import contract
from josrc_keras.samples import evidence, findings, history, numbering
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.reporting import weighted
from josrc_keras.training.step import Outcome

if TYPE_CHECKING:
    import pandas

HISTORY = "sample_history.npz"
TEACHER_VIEWS = ("both", "first")
TEACHER_STATISTICS = ("batch", "moving")
EVALUATED = ("both", "student", "teacher")


class MeanTeacherModel(NoisyLabelModel):
    """A model that trains a student and keeps a mean teacher of it (eq. 8).

    A subclass overrides `train_step`, and says in `delivers` which of the two networks
    is used by `predict`, by `model.export`, and for the loss and the compiled metrics
    of `evaluate`. Evaluation also reports the loss and accuracy of the other network.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`: the student. The
            teacher is a copy of it.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`; None if the data has both views.
        teacher_views: Views that the teacher's prediction is the mean of: `"both"`, or
            the `"first"` alone.
        teacher_statistics: What the teacher's batch normalisation uses in training:
            `"batch"` or `"moving"` statistics. It is evaluated with moving statistics:
            with `"batch"` those of its own passes, with `"moving"` an average of the
            student's, which fits its weights only after a few hundred steps. With
            `"batch"`, any dropout of the teacher is active, too.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher, also a plain `keras.Model`.
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
    verdicts: ClassVar[tuple] = metrics.KINDS
    training_metrics: ClassVar[tuple] = (
        "classification_loss",
        "consistency_loss",
        "clean_likelihood",
        "clean_fraction",
        "id_fraction",
        "ood_fraction",
        "tau_clean",
    )
    evaluation_metrics: ClassVar[tuple] = ("teacher_loss", "teacher_accuracy")
    recorded_features: int = 0  # Number that the table keeps of a sample.
    epoch_findings: Any = None
    sample_history: Any = None

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        *,
        teacher_views: str = "both",
        teacher_statistics: str = "batch",
        **kwargs: Any,
    ) -> None:
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

    def make_metrics(self) -> None:
        """Creates the metrics, including those of the network that is not delivered."""
        super().make_metrics()
        loss_name, accuracy_name = self.evaluation_metrics
        self._other_loss = keras.metrics.Mean(name=loss_name)
        self._other_accuracy = keras.metrics.SparseCategoricalAccuracy(accuracy_name)

    # The parts of a step.

    def two_views(self, images: Any) -> tuple[Any, Any]:
        """Both views of the images, given or drawn."""
        if isinstance(images, dict):
            return images["view_a"], images["view_b"]
        return (
            self.augmentation(images, training=True),
            self.augmentation(images, training=True),
        )

    def passes(self) -> int:
        """What a step costs; see the base class. Before `joint`, the teacher rests."""
        student, teacher = self.views_of_networks()
        return self.passes_of_view() * student + teacher

    def views_of_networks(self) -> tuple[int, int]:
        """Number of views that the student and the teacher predict in a step."""
        return 2, 1 + (self.teacher_views == "both")

    def teacher_logits(self, view_a: Any, view_b: Any) -> list:
        """The teacher's logits on the views that it sees, a list of `(N, C)`."""
        seen = (view_a, view_b) if self.teacher_views == "both" else (view_a,)
        batch_statistics = self.teacher_statistics == "batch"
        return [self.teacher(view, training=batch_statistics) for view in seen]

    def teacher_probs(self, view_a: Any, view_b: Any) -> Any:
        """The teacher's prediction q: `(N, C)` probabilities in float32.

        While `joint` is 0, no sample is re-labelled. Then the result is zeros, since
        the teacher, whose forward passes take a fifth of a step, does not predict.
        """
        probs = self.only_if(
            self.joint > 0,
            lambda: mean_probs(self.teacher_logits(view_a, view_b)),
            ops.zeros((ops.shape(view_a)[0], self.num_classes), "float32"),
            reads=self.teacher.variables,
            assigns=teacher.statistics_of(self.teacher, self.student),
        )
        return ops.stop_gradient(probs)

    def update_teacher(self) -> None:
        """Moves the teacher a step towards the student (eq. 8)."""
        teacher.update(
            self.teacher,
            self.student,
            self.teacher_decay,
            statistics=self.teacher_statistics,
            predicted=self.joint,
        )

    def outcome(
        self,
        batch: contract.Batch,
        logits: Any,
        *,
        selected: Any,
        likelihood: Any,
        losses_of: tuple[Any, Any, Any],
        included: Any,
        evidence: Sequence,
        features: Any = None,
    ) -> Outcome:
        """An `Outcome` with the metrics that both methods report.

        Args:
            batch: A `contract.Batch`.
            logits: `(N, C)` the student's logits on the first view.
            selected: A `selection.Selection`.
            likelihood: `(N,)` in [0, 1], 1 for what looks clean.
            losses_of: The classification loss, the consistency loss and the joint
                loss, each `(N,)`.
            included: `(N,)` boolean: the samples to train on.
            evidence: `(N, C)` logits of each view, which the history is made from.
            features: `(N, F)` features to keep of each sample, or None.
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
            logits,
            ((joint, included),),
            means,
            selected,
            likelihood,
            evidence,
            features,
        )

    def update_metrics(
        self, batch: contract.Batch, outcome: Outcome, penalty: Any
    ) -> dict[str, Any]:
        """Updates the metrics, and the table of the epoch's findings if any."""
        self._remember(batch, outcome)
        return super().update_metrics(batch, outcome, penalty)

    # The table of what an epoch finds of each sample.

    @property
    def metrics(self) -> list:
        """Keras's metrics, and the table, so that Keras passes it on with them."""
        own = super().metrics
        return own if self.epoch_findings is None else [*own, self.epoch_findings]

    def record_epochs_of(self, count: int | None) -> None:
        """Records what each epoch finds of `count` samples; None ends the recording."""
        made = None
        if count is not None:
            with _scope(self):
                made = findings.EpochFindings(count, self.recorded_features)
        # Keras can't remove an attribute that it tracks, so this one is not tracked.
        self.__dict__["epoch_findings"] = made
        if self.train_function is not None:
            self.make_train_function(force=True)

    def _remember(self, batch, outcome):
        """Writes a batch's verdicts and the evidence of its logits into the table."""
        if self.epoch_findings is None:
            return
        index = numbering.of_batch(batch)
        labels = batch.integer_labels()
        columns = {"label": labels, **outcome.selection._asdict()}
        logits_a, logits_b = outcome.evidence
        columns |= evidence.of_views(logits_a, logits_b, labels)
        self.epoch_findings.update_state(index, columns, outcome.features)

    def before_fit(self, given: dict[str, Any]) -> None:
        """Numbers the samples of arrays, if a callback records samples."""
        numbering.number_samples(given, given["callbacks"])

    def after_failed_fit(self) -> None:
        """Undoes what callbacks set, the recording included."""
        super().after_failed_fit()
        if self.epoch_findings is not None:
            self.record_epochs_of(None)

    def audit(self, x: Any, y: Any = None, **options: Any) -> "pandas.DataFrame":
        """What is known about each sample's label; see `josrc_keras.audit.audit`.

        Args:
            x: Images `(N, H, W, channels)`, or a dataset of `(image, label)`,
                unshuffled.
            y: Labels, where `x` is images.
            **options: Further arguments of `josrc_keras.audit.audit`.

        Returns:
            A `pandas.DataFrame` with a row for each sample, in dataset order.
        """
        return audit_table.audit(self, x, y, **options)

    def save_assets(self, folder: str) -> None:
        """Saves the history beside the weights: a loaded model audits as before."""
        if self.sample_history is not None:
            self.sample_history.save(os.path.join(folder, HISTORY))

    def load_assets(self, folder: str | None) -> None:
        """Reads the history that `save_assets` wrote; older files have none."""
        if folder is not None and os.path.exists(os.path.join(folder, HISTORY)):
            path = os.path.join(folder, HISTORY)
            self.sample_history = history.SampleHistory.load(path)

    # Prediction uses one network. Evaluation also reports the other one.

    def call(self, images: Any, training: bool = False) -> Any:
        """The logits `(N, C)` of the delivered network, on the first view."""
        network = getattr(self, self.delivers)
        return network(self.seen_in_evaluation(images), training=training)

    def network_to_evaluate(self) -> keras.Model:
        """The network whose loss and compiled metrics `evaluate` reports."""
        both = self.evaluated == "both"
        return getattr(self, self.delivers if both else self.evaluated)

    def evaluate_batch(self, batch: contract.Batch) -> Any:
        """Updates both losses with a batch; returns the logits `(N, C)` for metrics."""
        if self.evaluated == "both":
            other = self.student if self.delivers == "teacher" else self.teacher
            logits = other(self.seen_in_evaluation(batch.images), training=False)
            label = batch.integer_labels()
            self._other_loss.update_state(
                losses.cross_entropy(label, logits), batch.sample_weight
            )
            self._other_accuracy.update_state(label, logits, batch.sample_weight)
        return super().evaluate_batch(batch)

    def get_metrics_result(self) -> dict[str, Any]:
        """The results, with the other network's only where both are evaluated."""
        results = super().get_metrics_result()
        if self.evaluated != "both":
            for name in self.evaluation_metrics:
                results.pop(name, None)
        return results

    def set_evaluated(self, evaluated: str) -> None:
        """Chooses what `evaluate` reports: `"student"`, `"teacher"` or `"both"`.

        With `"both"`, the loss and the compiled metrics are those of the delivered
        network, and `evaluation_metrics` those of the other one.

        Raises:
            ValueError: For any other value.
        """
        _checks.check_choice("evaluated", evaluated, EVALUATED)
        if evaluated != self.evaluated:
            self.evaluated = evaluated
            self.test_function = None  # It was compiled for the network before.

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configures training; see the base class. Frozen layers freeze in both."""
        teacher.follow_freezing(self.teacher, self.student)
        super().compile(*args, **kwargs)


def mean_probs(logits):
    """The mean of the probabilities from a list of logits, `(N, C)` float32."""
    probs = [ops.softmax(ops.cast(each, "float32")) for each in logits]
    return sum(probs) / len(probs)


def _scope(model):
    """The scope in which variables of the model's replicas are made."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()
