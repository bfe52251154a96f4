"""Meta-Cleaner: a class is learnt from weighted groups of its images."""

from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras import losses
from josrc_keras.networks import features
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome

IGNORED = -1e9  # Score of a sample whose weight is 0.


@keras.saving.register_keras_serializable(package="josrc_keras")
class MetaCleaner(NoisyLabelModel):
    """Meta-Cleaner (Zhang, Wang and Qiao, CVPR 2019).

    A batch holds groups of `group` images with one given label. A small network sees
    the features of a whole group and says how far each image is trusted (noisy
    weighting). The weighted mean of the features (clean hallucinating) stands for the
    class, and the classifier learns from it by cross-entropy. Prediction uses the
    network alone, on single images.

    No code was published. The layers of the small network (one hidden layer with ReLU),
    the softmax over its scores and the size of a group are choices of this package,
    since the paper's could not be checked.

    The method need not be told anything. Its data are batches of groups, such as
    `data.batches.train_batches(..., group=4)`. A group of several labels teaches
    nothing; the metric `group_fraction` is the share of the others. Compiled metrics
    are those of the group's logits in training.

    Args:
        network: A built functional `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        group: Images a group, at least 1; 1 is ordinary training.
        hidden: Units of the small network's hidden layer, at least 1.
        plain_weight: Weight of the cross-entropy on single images beside that of
            groups, at least 0. The paper has none.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        cleaner: The small network, from `(K, group * D)` features to `(K, group)`
            scores.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range, or the network is not functional.
    """

    needs_two_views = False
    training_metrics: ClassVar[tuple] = ("group_fraction", "largest_share")

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        *,
        group: int = 4,
        hidden: int = 128,
        plain_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if group < 1 or hidden < 1 or plain_weight < 0:
            raise ValueError(
                "Expected group and hidden of at least 1, and plain_weight of at least "
                f"0. Received: group={group}, hidden={hidden}, "
                f"plain_weight={plain_weight}."
            )

        def make_cleaner(student):
            body, _ = features.split(student)
            width = body.outputs[0].shape[-1]
            given = keras.Input((group * width,))
            scores = keras.layers.Dense(hidden, activation="relu")(given)
            return keras.Model(given, keras.layers.Dense(group)(scores))

        further = {"cleaner": make_cleaner}
        super().__init__(network, num_classes, augmentation, further=further, **kwargs)
        # Keras would track the layers, which the student has already, a second time.
        self.__dict__["_parts"] = features.split(self.student)
        self.group = group
        self.hidden = hidden
        self.plain_weight = plain_weight
        self.make_metrics()

    def trained_networks(self) -> list:
        """The networks that a gradient changes."""
        return [self.student, self.cleaner]

    def passes(self) -> int:
        """What a step costs; see the base class. The small network does not count."""
        return self.passes_of_view()

    def before_fit(self, given: dict[str, Any]) -> None:
        """Completes the arguments of `fit`; refuses arrays, which it would shuffle."""
        if given.get("y") is not None and self.group > 1:
            raise ValueError(
                f"MetaCleaner learns from groups of {self.group} images of one class. "
                "Received: arrays, which `fit` takes as they come. Pass "
                f"josrc_keras.data.batches.train_batches(..., group={self.group})."
            )

    def train_step(self, *arguments: Any) -> Any:
        """One step on groups. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            body, head = self._parts
            found = body(self.one_view(batch), training=True)
            labels = batch.integer_labels()
            groups = self._groups(found)
            scores = self.cleaner(ops.reshape(groups, (groups.shape[0], -1)))
            shares = noisy_weights(self._kept(scores, batch))
            hallucinated = hallucinate(groups, shares)
            logits = self._repeated(head(hallucinated, training=True))
            per_sample = losses.cross_entropy(labels, logits)
            if self.plain_weight:
                alone = head(found, training=True)
                per_sample += self.plain_weight * losses.cross_entropy(labels, alone)
            of_one_class = self._repeated(same_labels(self._groups(labels)))
            return Outcome(
                logits,
                terms=((per_sample, of_one_class),),
                means={
                    "group_fraction": (of_one_class,),
                    "largest_share": (ops.max(shares, axis=-1),),
                },
            )

        return self.step(arguments, learn)

    def _groups(self, rows):
        """`(K, group, ...)` of `(N, ...)`.

        Raises:
            ValueError: If the rows are not whole groups, or their number is not known.
        """
        count = rows.shape[0]
        if count is None or count % self.group:
            raise ValueError(
                f"Expected batches of whole groups of {self.group} images. Received: a "
                f"batch of {'unknown size' if count is None else count}. Use "
                "data.batches.train_batches(..., group=...), or drop the remainder."
            )
        return ops.reshape(rows, (count // self.group, self.group, *rows.shape[1:]))

    def _repeated(self, groups):
        """`(N, ...)`: each group's row for each of its samples."""
        return ops.repeat(groups, self.group, axis=0)

    def _kept(self, scores, batch):
        """The scores, so low where a sample's weight is 0 that it gets no share."""
        if batch.sample_weight is None:
            return scores
        return ops.where(self._groups(batch.sample_weight) == 0, IGNORED, scores)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "group": self.group,
            "hidden": self.hidden,
            "plain_weight": self.plain_weight,
        }


def noisy_weights(scores: Any) -> Any:
    """How far each image of a group is trusted: the softmax of the scores.

    Args:
        scores: `(K, n)`.

    Returns:
        `(K, n)` float32 in [0, 1], rows sum to 1.
    """
    return ops.softmax(ops.cast(scores, "float32"), axis=-1)


def hallucinate(groups: Any, shares: Any) -> Any:
    """The clean representation of each group: the weighted mean of its features.

    Args:
        groups: `(K, n, D)` features.
        shares: `(K, n)`, rows sum to 1.

    Returns:
        `(K, D)` float32.
    """
    groups = ops.cast(groups, "float32")
    return ops.sum(ops.expand_dims(shares, -1) * groups, axis=1)


def same_labels(labels: Any) -> Any:
    """`(K,)` boolean: whether all labels `(K, n)` of a group are equal."""
    return ops.all(labels == labels[:, :1], axis=1)
