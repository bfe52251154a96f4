"""CleanNet's own network: how alike an image is to the class of its given label.

The equations and values are those of Lee, He, Zhang and Yang, "CleanNet: Transfer
Learning for Scalable Image Classifier Training with Label Noise", CVPR 2018. They were
written anew from their description. The published code's licence forbids derivatives,
and nothing of it is here.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

LEAST = 1e-8  # Added to the length of a vector, so that zeros have a direction.
WIDTHS = (256, 128)  # Units of the query encoder, and of the class embedding.
REFERENCE_WIDTHS = (512, 256)  # Units for each centre of a class.
PENALTY = 1e-4  # Factor on the squares of the weights.


def verification_loss(
    similarity: Any, verified: Any, margin: float = 0.1, weight: float = 5.0
) -> Any:
    """The loss of a label that people have looked at.

    It is `1 - s` for a right label, and `weight * max(0, s - margin)` for a wrong one.

    Args:
        similarity: `(N,)` cosines s of an image and the class of its label.
        verified: `(N,)`: 1 where the label is right, 0 where it is wrong.
        margin: In [-1, 1]. A wrong label's similarity may be as high.
        weight: At least 0.

    Returns:
        `(N,)`, at least 0.
    """
    wrong = weight * ops.maximum(similarity - margin, 0.0)
    return ops.where(ops.equal(verified, 1), 1.0 - similarity, wrong)


def detector_loss(
    similarity: Any,
    verified: Any,
    reconstruction: Any,
    *,
    margin: float = 0.1,
    weight: float = 5.0,
    unverified_weight: float = 0.1,
    reconstruction_weight: float = 0.1,
) -> Any:
    """The loss of each sample of the detector.

    A label that nobody looked at counts as right where its similarity is at least the
    margin, with a smaller weight.

    Args:
        similarity: `(N,)` cosines.
        verified: `(N,)`: 1 right, 0 wrong, -1 not looked at.
        reconstruction: `(N,)` squared distances of the features and their
            reconstruction.
        margin: As for `verification_loss`.
        weight: As for `verification_loss`.
        unverified_weight: Factor on the loss of labels that nobody looked at.
        reconstruction_weight: Factor on the squared distances.

    Returns:
        `(N,)`, at least 0.
    """
    guessed = ops.cast(ops.stop_gradient(similarity) >= margin, "int32")
    verified = ops.cast(verified, "int32")
    known = verified >= 0
    answer = ops.where(known, verified, guessed)
    factor = ops.where(known, 1.0, unverified_weight)
    of_label = verification_loss(similarity, answer, margin, weight)
    return factor * of_label + reconstruction_weight * reconstruction


def attention(scores: Any, vectors: Any, present: Any) -> Any:
    """The mean of vectors by the softmax of their scores.

    Args:
        scores: `(C, R)`.
        vectors: `(C, R, D)`.
        present: `(C, R)` boolean: which of them there are.

    Returns:
        `(C, D)`.
    """
    shares = ops.softmax(ops.where(present, scores, -1e9), axis=-1)
    return ops.sum(shares[..., None] * vectors, axis=1)


def cosine(first: Any, second: Any) -> Any:
    """`(N,)` cosines in [-1, 1] of rows of two `(N, D)`; 0 for a row of zeros."""
    lengths = [
        ops.sqrt(ops.sum(ops.square(each), axis=-1) + LEAST**2)
        for each in (first, second)
    ]
    return ops.sum(first * second, axis=-1) / (lengths[0] * lengths[1])


class Detector(keras.Model):
    """Learns from verified labels which images belong to the class of their label.

    An image is encoded by two layers, and decoded again. A class is encoded from the
    centres of its images' features: a layer for each centre, an attention over them,
    and a layer. The encoder of classes is the same for all, so that a class without any
    verified label is judged by what was learnt of the others.

    Args:
        centres: `(C, R, D)` centres of each class's features.
        present: `(C, R)` boolean: which centres there are.
        seed: Seed of the weights and of the dropout.
        dropout: Share of the first layer's units for each centre that are dropped.
        **values: Arguments of `detector_loss`.
    """

    def __init__(
        self,
        centres: Any,
        present: Any,
        *,
        seed: int = 0,
        dropout: float = 0.2,
        **values: Any,
    ) -> None:
        super().__init__()
        self.values = values
        self.present = np.asarray(present, bool)
        width = centres.shape[-1]

        def dense(units, number):
            return keras.layers.Dense(
                units,
                "tanh",
                kernel_initializer=keras.initializers.GlorotUniform(seed + number),
                kernel_regularizer=keras.regularizers.L2(PENALTY),
                dtype="float32",
            )

        hidden, embedded = WIDTHS
        self.encoder = keras.Sequential([dense(hidden, 1), dense(embedded, 2)])
        self.decoder = keras.Sequential([dense(hidden, 3), dense(width, 4)])
        first, second = REFERENCE_WIDTHS
        self.of_centre = keras.Sequential(
            [
                dense(first, 5),
                keras.layers.Dropout(dropout, seed=seed),
                dense(second, 6),
            ]
        )
        self.projection = dense(second, 7)
        self.of_class = dense(embedded, 8)
        self.encoder.build((None, width))
        self.decoder.build((None, embedded))
        self.of_centre.build((None, None, width))
        self.projection.build((None, None, second))
        self.of_class.build((None, second))
        self.context = self.add_weight(
            name="context",
            shape=(second,),
            initializer=keras.initializers.RandomNormal(0, 0.05, seed=seed + 9),
        )
        self.centres = self.add_weight(
            name="centres", shape=centres.shape, initializer="zeros", trainable=False
        )
        self.centres.assign(np.asarray(centres, "float32"))
        self.built = True

    def class_embeddings(self, training: bool = False) -> Any:
        """`(C, 128)`: what each class is encoded as."""
        hidden = self.of_centre(ops.convert_to_tensor(self.centres), training=training)
        context = ops.convert_to_tensor(self.context)
        scores = ops.sum(self.projection(hidden) * context, axis=-1)
        present = ops.convert_to_tensor(self.present)
        return self.of_class(attention(scores, hidden, present))

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Similarity and reconstruction.

        Args:
            inputs: Dict of `features` `(N, D)` and `label` `(N,)`.
            training: Whether units are dropped.

        Returns:
            Dict of `similarity` `(N,)`, and `reconstruction` `(N,)`, the squared
            distance of the features and what is decoded of them.
        """
        features = ops.cast(inputs["features"], "float32")
        encoded = self.encoder(features)
        decoded = self.decoder(encoded)
        label = ops.cast(inputs["label"], "int32")
        of_label = ops.take(self.class_embeddings(training), label, axis=0)
        return {
            "similarity": cosine(encoded, of_label),
            "reconstruction": ops.sum(ops.square(features - decoded), axis=-1),
        }

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The batch's mean of `detector_loss`, and the penalty on the weights."""
        del x, sample_weight, training
        per_sample = detector_loss(
            y_pred["similarity"], y, y_pred["reconstruction"], **self.values
        )
        return ops.mean(per_sample) + sum(self.losses)

    def learn(
        self,
        features: Any,
        labels: Any,
        verified: Any,
        *,
        steps: int,
        seed: Any,
        adam_rate: float | None = None,
    ) -> None:
        """Fits the detector, as published: SGD with a rate of 0.01, then of 0.001.

        A batch has 32 images with a verified label, and 32 others: of a class drawn
        uniformly, an image drawn uniformly. Where one kind is missing, the other is all
        of the batch.

        Args:
            features: `(N, D)`.
            labels: `(N,)` given labels.
            verified: `(N,)`: 1, 0 or -1 as for `detector_loss`.
            steps: Number of steps; the published one is 60,000.
            seed: Seed of the batches.
            adam_rate: Learning rate of Adam in place of SGD, or None.
        """
        rate: Any = keras.optimizers.schedules.PiecewiseConstantDecay(
            [max(steps // 2, 1)], [0.01, 0.001]
        )
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        if adam_rate is not None:
            optimizer = keras.optimizers.Adam(adam_rate)
        # XLA would take longer to compile such a small step than it saves.
        on_jax = keras.backend.backend() == "jax"
        self.compile(optimizer, jit_compile="auto" if on_jax else False)
        batches = drawn(labels, verified, steps, seed)
        self.fit(
            (
                (
                    {
                        "features": np.asarray(features[rows], "float32"),
                        "label": labels[rows].astype("int32"),
                    },
                    verified[rows].astype("int32"),
                )
                for rows in batches
            ),
            steps_per_epoch=steps,
            epochs=1,
            shuffle=False,
            verbose=0,
        )

    def score(self, features: Any, labels: Any, together: int = 1024) -> np.ndarray:
        """`(N,)` float32 in [-1, 1]: the similarity of each image and its label."""
        found = []
        for start in range(0, len(labels), together):
            rows = np.arange(start, start + together)
            rows = np.minimum(rows, len(labels) - 1)  # All batches are of one size.
            inputs = {
                "features": np.asarray(features[rows], "float32"),
                "label": labels[rows].astype("int32"),
            }
            kept = min(together, len(labels) - start)
            found.append(self.predict_on_batch(inputs)["similarity"][:kept])
        return np.clip(np.concatenate(found), -1, 1)


def drawn(labels: Any, verified: Any, steps: int, seed: Any, half: int = 32) -> Any:
    """Row numbers of batches, half of them verified, as `Detector.learn` says.

    Args:
        labels: `(N,)`.
        verified: `(N,)`: 1, 0 or -1.
        steps: Number of batches.
        seed: As `numpy.random.default_rng` takes it.
        half: Images of either kind.

    Yields:
        `(2 * half,)` int64 row numbers.
    """
    random = np.random.default_rng(seed)
    known = np.flatnonzero(verified >= 0)
    others = np.flatnonzero(verified < 0)
    of_class = [others[labels[others] == c] for c in np.unique(labels[others])]
    for _ in range(steps):
        first = half if len(others) else 2 * half
        rows = [random.choice(known, first)] if len(known) else []
        for label in random.integers(len(of_class), size=2 * half - first * len(rows)):
            rows.append(random.choice(of_class[label], 1))
        yield np.concatenate(rows)
