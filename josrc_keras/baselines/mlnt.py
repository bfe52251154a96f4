"""MLNT: a network that simulated label noise does not lead astray."""

from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras import losses, teacher
from josrc_keras.devices import replicas
from josrc_keras.networks import features
from josrc_keras.training import functional
from josrc_keras.training.mean_teacher import MeanTeacherModel
from josrc_keras.training.step import Outcome

NEIGHBOURS = 10  # The published code draws labels from ten.
STEEPNESS = 5.0  # The published code's ramp is exp(-5 (1 - u)^2).


@keras.saving.register_keras_serializable(package="josrc_keras")
class MLNT(MeanTeacherModel):
    """Meta-Learning, or MLNT (Li et al., CVPR 2019), the first iteration.

    In each step labels of the batch are replaced by those of near neighbours, several
    times over. For each such set the step takes a virtual step of gradient descent on
    it, and asks how far the network's predictions then are from those of its mean
    teacher. The loss is the cross-entropy against the given labels, plus the mean of
    these divergences as a function of the weights before the virtual steps. Its
    gradient goes through the virtual steps, so it is one of second order.

    The paper takes a step on the divergences before the step on the labels. Its
    published code adds both gradients up, with a weight that climbs, as is done here.
    As there, the teacher normalises by the batch when it predicts in training: its
    moving statistics follow its weights only after a few hundred steps. The code's own
    features come from a network that was trained before; here they are the mean
    teacher's. Further iterations of the paper, which filter samples by the best teacher
    so far, are left out.

    On TensorFlow the second-order gradient lacks a part where Keras's own batch
    normalisation computes moments, as of rows in the head `mlp`: `tf.nn.moments` hides
    it from a second tape. (This package's networks normalise images by a fused
    operation, which has it.) There take the head `linear`, `first_order`, or JAX.

    The method need not be told anything. `predict` and `evaluate` use the teacher.
    `fit` needs the callback `MeanTeacher`. A step learns on one device.

    Args:
        network: A built functional `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        synthetic_sets: Number of sets of replaced labels in a step (M), at least 1.
        synthetic_share: Share of the labels that are replaced, in [0, 1].
        meta_rate: Size of a virtual step (the paper's alpha), at least 0.
        consistency_weight: Factor on the divergences. The formula has 1. The published
            code's mean over classes makes it 1 / C.
        ramp: Numbers of the steps between which the weight of the divergences climbs to
            its full size, before which it is 0.
        first_order: Whether the virtual step's gradient is taken as a constant, which
            needs less memory.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        teacher: The mean teacher.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network is not functional.
    """

    delivers = "teacher"
    needs_two_views = False
    verdicts = ()
    controls: ClassVar[dict] = {"teacher_decay": "MeanTeacher(decay=0.99)"}
    training_metrics = ("classification_loss", "consistency_loss")
    evaluation_metrics = ("student_loss", "student_accuracy")

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        *,
        synthetic_sets: int = 10,
        synthetic_share: float = 0.5,
        meta_rate: float = 0.02,
        consistency_weight: float = 1.0,
        ramp: tuple[int, int] = (500, 2000),
        first_order: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            network, num_classes, augmentation, teacher_statistics="batch", **kwargs
        )
        if synthetic_sets < 1 or not 0 <= synthetic_share <= 1:
            raise ValueError(
                "Expected synthetic_sets of at least 1 and synthetic_share in [0, 1]. "
                f"Received: synthetic_sets={synthetic_sets}, synthetic_share="
                f"{synthetic_share}. The published code has 10 and 0.5."
            )
        if meta_rate < 0 or consistency_weight < 0 or not 0 <= ramp[0] <= ramp[1]:
            raise ValueError(
                "Expected meta_rate and consistency_weight of at least 0, and ramp as "
                f"two increasing numbers of steps. Received: meta_rate={meta_rate}, "
                f"consistency_weight={consistency_weight}, ramp={tuple(ramp)}."
            )
        self.synthetic_sets = synthetic_sets
        self.synthetic_share = synthetic_share
        self.meta_rate = meta_rate
        self.consistency_weight = consistency_weight
        self.ramp = tuple(ramp)
        self.first_order = first_order
        self.synthetic_seed = keras.random.SeedGenerator()
        # Keras would track the layers, which the teacher has already, a second time.
        self.__dict__["_teacher_and_features"] = features.with_features(self.teacher)
        self.make_metrics()

    def passes(self) -> int:
        """What a step costs; see the base class. A second order counts once more.

        The student learns from the labels, and for each synthetic set makes a virtual
        step and is asked again. The teacher predicts once.
        """
        learning = self.passes_of_view()
        orders = 2 if self.first_order else 3
        return learning + 1 + self.synthetic_sets * orders * learning

    def before_fit(self, given: dict[str, Any]) -> None:
        """Completes the arguments of `fit`; refuses several devices."""
        super().before_fit(given)
        if replicas.part_count() > 1:
            raise ValueError(
                "MLNT draws labels from neighbours within a whole batch. Received: "
                f"{replicas.part_count()} devices that share it. Train on one device."
            )

    def train_step(self, *arguments: Any) -> Any:
        """One step of Algorithm 1. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            view, labels = self.one_view(batch), batch.integer_labels()
            logits = self.student(view, training=True)
            classification = losses.cross_entropy(labels, logits)
            # The teacher gets no gradient.
            found, teacher_logits = self._teacher_and_features(view, training=True)
            found = ops.stop_gradient(found)
            target = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
            divergences = [
                self._after_virtual_step(view, synthetic, target, batch)
                for synthetic in self.synthetic_labels(labels, found)
            ]
            consistency = sum(divergences) / len(divergences)
            weight = self.consistency_weight * self.ramped(self.optimizer.iterations)
            everyone = ops.ones_like(classification, dtype="bool")
            return Outcome(
                logits,
                terms=((classification + weight * consistency, everyone),),
                means={
                    "classification_loss": (classification,),
                    "consistency_loss": (consistency,),
                },
            )

        return self.step(arguments, learn, then=self.update_teacher)

    def update_teacher(self) -> None:
        """Moves the teacher a step towards the student (eq. 8 of Jo-SRC's paper).

        Its moving statistics come from its own passes, one in each step.
        """
        teacher.update(
            self.teacher, self.student, self.teacher_decay, statistics="batch"
        )

    def synthetic_labels(self, labels: Any, found: Any) -> list:
        """The sets of labels, some of which are replaced by those of neighbours.

        Args:
            labels: `(N,)` integer given labels.
            found: `(N, D)` features of the images.

        Returns:
            A list of `(N,)` integers.
        """
        order = nearest_first(found)
        return [
            neighbour_labels(labels, order, self.synthetic_share, self.synthetic_seed)
            for _ in range(self.synthetic_sets)
        ]

    def ramped(self, steps: Any) -> Any:
        """The weight of the divergences after a number of steps: a scalar in [0, 1]."""
        start, end = self.ramp
        steps = ops.cast(steps, "float32")
        done = ops.clip((steps - start) / max(end - start, 1), 0.0, 1.0)
        climbing = ops.exp(-STEEPNESS * ops.square(1.0 - done))
        return ops.where(steps < start, 0.0, ops.where(steps >= end, 1.0, climbing))

    def _after_virtual_step(self, view, labels, target, batch):
        """`(N,)`: `KL(teacher || student)` after a virtual step on some labels."""
        weights = functional.values_of(self.student.trainable_variables)

        def loss_of(values):
            logits = functional.call_with(self.student, values, view)
            per_sample = losses.cross_entropy(labels, logits)
            if batch.sample_weight is not None:
                per_sample *= ops.cast(batch.sample_weight, "float32")
            return ops.mean(per_sample)

        fast = functional.fast_weights(
            self.student,
            weights,
            loss_of,
            self.meta_rate,
            first_order=self.first_order,
        )
        return divergence_from(target, functional.call_with(self.student, fast, view))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "synthetic_sets": self.synthetic_sets,
            "synthetic_share": self.synthetic_share,
            "meta_rate": self.meta_rate,
            "consistency_weight": self.consistency_weight,
            "ramp": self.ramp,
            "first_order": self.first_order,
        }


def divergence_from(target: Any, logits: Any) -> Any:
    """`KL(softmax(target) || softmax(logits))`, `(N,)` in nats, of `(N, C)` logits."""
    log_target = ops.log_softmax(target, axis=-1)
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return ops.sum(ops.exp(log_target) * (log_target - log_probs), axis=-1)


def nearest_first(found: Any) -> Any:
    """`(N, N)` integers: each row's other rows by distance; the row itself is last.

    Args:
        found: `(N, D)` features.
    """
    distances = features.squared_distances(found)
    itself = ops.eye(ops.shape(found)[0]) > 0
    return ops.argsort(ops.where(itself, float("inf"), distances), axis=-1)


def neighbour_labels(labels: Any, order: Any, share: float, seed: Any) -> Any:
    """Labels of which a share is replaced by the label of a random near neighbour.

    Args:
        labels: `(N,)` integers.
        order: `(N, N)` as `nearest_first` returns it.
        share: Share of the labels that are replaced, rounded down.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        `(N,)` integers; a batch of one keeps its label.
    """
    count = ops.shape(order)[0]
    near = ops.clip(ops.cast(count - 1, "float32"), 1.0, float(NEIGHBOURS))
    drawn = keras.random.uniform((count,), seed=seed)
    rank = ops.cast(ops.minimum(ops.floor(drawn * near), near - 1.0), "int32")
    chosen = ops.take_along_axis(ops.cast(order, "int32"), rank[:, None], axis=1)[:, 0]
    places = keras.random.shuffle(ops.arange(count), seed=seed)
    replaced = ops.cast(places, "float32") < ops.floor(
        share * ops.cast(count, "float32")
    )
    return ops.where(replaced, ops.take(labels, chosen), labels)
