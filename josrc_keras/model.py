"""Jo-SRC as a `keras.Model`: Algorithm 1 of the paper in `train_step`."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
from keras import ops

from josrc_keras import (
    _checks,
    _values,
    divergence,
    losses,
    schedules,
    selection,
    teacher,
)
from josrc_keras import labels as label_distributions
from josrc_keras.adaptive import before
from josrc_keras.training.mean_teacher import (
    TEACHER_STATISTICS,
    TEACHER_VIEWS,
    MeanTeacherModel,
)


@keras.saving.register_keras_serializable(package="josrc_keras")
@dataclasses.dataclass(frozen=True)
class Choices(_values.ChoiceValues):
    """Where the paper and its published code differ, or where the paper is silent.

    | field | the paper | its published code | default |
    |---|---|---|---|
    | `consistency_base` | not said | 2 | 2 |
    | `inclusive` | `>` (False) | `>=` (True) | False |
    | `teacher_views` | `"first"` | `"both"` | `"both"` |
    | `teacher_statistics` | not said | `"batch"` | `"batch"` |
    | `bounded` | False | False | False |

    Args:
        consistency_base: Base of the logarithm of eq. 9, above 1. The values of alpha
            that the published code uses belong to 2.
        inclusive: Whether a likelihood equal to its threshold passes.
        teacher_views: `"both"` or `"first"`, see `MeanTeacherModel`.
        teacher_statistics: `"batch"` or `"moving"`, see `MeanTeacherModel`. The
            published code never updates the teacher's moving statistics, so that
            teacher can't be evaluated. Here they always fit the teacher's weights.
        bounded: Whether the consistency term has a lower bound; see
            `losses.consistency_loss`. Neither the paper nor its code bounds it.

    Raises:
        ValueError: If a value is out of range.
    """

    def __post_init__(self) -> None:
        divergence.check_base(self.consistency_base)
        _checks.check_choice("teacher_views", self.teacher_views, TEACHER_VIEWS)
        _checks.check_choice(
            "teacher_statistics", self.teacher_statistics, TEACHER_STATISTICS
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes choices from `get_config()`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="josrc_keras")
class JoSRC(MeanTeacherModel):
    """Trains a classifier on labels that are partly wrong (Yao et al., CVPR 2021).

    Each step predicts two views of every image with the student, sorts the batch into
    clean, in-distribution noisy and out-of-distribution samples, gives the unclean
    ones new labels from a mean teacher, and minimises the joint loss. `fit` needs the
    callbacks `CleanThreshold` and `MeanTeacher`, which set `tau_clean`, `joint` and
    `teacher_decay`. `predict`, `evaluate`, the compiled metrics and `model.export` use
    the student. Evaluation also reports `teacher_loss` and `teacher_accuracy`.

    Training data yields `(image, label)`, of which the model makes two views with
    `augmentation`, or `({"view_a", "view_b"}, label)`. Labels are integers `(N,)`,
    one-hot rows `(N, C)`, or a dict of `label` with any of `true_label` (-1 =
    out-of-distribution), which only metrics read, and `index`, the sample's number in
    the dataset, for `VerdictHistory`. Sample weights multiply a sample's loss, and so
    do class weights (by given label) unless labels are a dict.

    ```python
    model = JoSRC(networks.cnn7(80), 80, augmentation=views.crop_and_flip())
    model.compile(optimizer=keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    model.fit(train, epochs=200, callbacks=[CleanThreshold(), MeanTeacher()])
    ```

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`: the student. The
            teacher is a copy of it.
        num_classes: C, at least 2.
        smoothing: The paper's epsilon (eq. 5), in `[0, (C - 1) / C)`.
        alpha: Weight of the consistency term (eq. 10), in [0, 1].
        tau_ood: Threshold on the out-of-distribution likelihood, in (0, 1).
        scale: The paper's s (eq. 7), positive.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`; None if the data has both views.
        relabel: Which unclean samples are re-labelled and trained on after the warm-up:
            any of `"in_distribution"` and `"out_of_distribution"`. The ablation of
            the paper's Table 6 is `()` (Jo-SRC-C), `("in_distribution",)` (-CI) and
            both (-CIO), each with `alpha=0`.
        choices: A `Choices`: where the paper and its published code differ.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher, also a plain `keras.Model`.
        tau_clean: Variable, the threshold on the clean likelihood (eq. 12), in [0, 1].
        joint: Variable, 0 in the warm-up, when only clean samples and eq. 11 count,
            and 1 after it, when all samples and eq. 10 count.
        teacher_decay: Variable, omega of eq. 8, in [0, 1].
        sample_history: What `VerdictHistory` recorded of each sample, or None.

    Raises:
        TypeError: If `network`, `augmentation` or `choices` is of the wrong type.
        ValueError: If an argument is out of range, or the network does not end in C
            logits.
        RuntimeError: If Keras's backend is neither TensorFlow nor JAX.
    """

    controls: ClassVar[dict] = {
        "tau_clean": (
            f"CleanThreshold(tau_c={schedules.TAU_C}, tau_m={schedules.TAU_M}, "
            f"warmup_epochs={schedules.WARMUP_EPOCHS})"
        ),
        "teacher_decay": f"MeanTeacher(decay={teacher.DECAY})",
    }
    serialized = (*MeanTeacherModel.serialized, "choices")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes a `JoSRC`, or an `AdaptiveJoSRC` if old arguments ask for it."""
        if before.wanted(kwargs):
            return before.make(args, kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        smoothing: float = label_distributions.SMOOTHING,
        alpha: float = losses.ALPHA,
        tau_ood: float = selection.TAU_OOD,
        scale: float = label_distributions.SCALE,
        augmentation: keras.Layer | None = None,
        *,
        relabel: Sequence[str] = selection.UNCLEAN,
        choices: Choices = Choices(),
        **kwargs: Any,
    ) -> None:
        choices = _with_fields_of_before(choices, kwargs)
        super().__init__(
            network,
            num_classes,
            augmentation,
            teacher_views=choices.teacher_views,
            teacher_statistics=choices.teacher_statistics,
            **kwargs,
        )
        self.smoothing = label_distributions.check_smoothing(smoothing, num_classes)
        self.alpha = losses.check_alpha(alpha)
        self.tau_ood = selection.check_tau_ood(tau_ood)
        self.scale = label_distributions.check_scale(scale)
        self.relabel = selection.check_unclean(relabel)
        self.choices = choices
        self.make_metrics()

    def train_step(self, *arguments: Any) -> Any:
        """Algorithm 1 on one batch. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            choices = self.choices
            # The student predicts two views of each image.
            view_a, view_b = self.two_views(batch.images)
            logits_a = self.student(view_a, training=True)
            logits_b = self.student(view_b, training=True)
            # Each sample is clean, in-distribution noise or out-of-distribution.
            label_probs = label_distributions.smooth_labels(  # eq. 5
                batch.labels, self.num_classes, self.smoothing
            )
            likelihood = selection.clean_likelihood(  # eq. 2 and 3
                ops.softmax(ops.cast(logits_a, "float32")), label_probs
            )
            selected = selection.select(  # C3.1 and C3.2
                likelihood,
                selection.ood_likelihood(logits_a, logits_b),  # eq. 4
                tau_clean=self.tau_clean,  # eq. 12, by CleanThreshold
                tau_ood=self.tau_ood,
                inclusive=choices.inclusive,
            )
            # The mean teacher re-labels the unclean samples.
            teacher_probs = self.teacher_probs(view_a, view_b)
            targets = label_distributions.reassign(  # eq. 5 to 7
                selected, label_probs, teacher_probs, self.scale
            )
            # Both loss terms have a value per sample.
            classification = losses.classification_loss(  # eq. 11
                logits_a, logits_b, targets
            )
            consistency = losses.consistency_loss(  # eq. 9
                logits_a,
                logits_b,
                selected.out_of_distribution,
                choices.consistency_base,
                choices.bounded,
            )
            # In the warm-up only clean samples and eq. 11 count, later all and eq. 10.
            joint = losses.joint_loss(  # eq. 10
                classification, consistency, self.alpha * self.joint
            )
            unclean = selection.union(selected, self.relabel)
            included = ops.logical_or(
                selected.clean, ops.logical_and(unclean, self.joint > 0)
            )
            return self.outcome(
                batch,
                logits_a,
                selected=selected,
                likelihood=likelihood,
                losses_of=(classification, consistency, joint),
                included=included,
                evidence=(logits_a, logits_b),
            )

        return self.step(arguments, learn, then=self.update_teacher)  # eq. 8

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "smoothing": self.smoothing,
            "alpha": self.alpha,
            "tau_ood": self.tau_ood,
            "scale": self.scale,
            "relabel": self.relabel,
            "choices": keras.saving.serialize_keras_object(self.choices),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Makes a model from `get_config()`, also from that of an older version."""
        if config.get("samples") is not None:
            return before.from_config(config, custom_objects)
        config = {k: v for k, v in config.items() if k not in before.NOT_THE_PAPERS}
        fields = {name: config.pop(name) for name in FIELDS if name in config}
        if fields:
            config["choices"] = keras.saving.serialize_keras_object(Choices(**fields))
        return super().from_config(config, custom_objects)


FIELDS = tuple(field.name for field in dataclasses.fields(Choices))


def _with_fields_of_before(choices, arguments):
    """Moves fields that were arguments of `JoSRC` from `arguments` to `choices`."""
    if not isinstance(choices, Choices):
        raise TypeError(f"Expected `choices` as a Choices. Received: {choices!r}.")
    fields = {name: arguments.pop(name) for name in FIELDS if name in arguments}
    if not fields:
        return choices
    given = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    warnings.warn(
        f"Version 0.2 will not accept JoSRC({given}). Pass choices=Choices({given}).",
        FutureWarning,
        stacklevel=3,
    )
    return dataclasses.replace(choices, **fields)
