"""Decoupling: learn only where two networks disagree."""

from typing import Any

import keras

from josrc_keras.baselines.small_loss import disagreement
from josrc_keras.baselines.two_networks import (
    Choice,
    TwoNetworks,
    cross_entropies,
    likelihood_of,
)


@keras.saving.register_keras_serializable(package="josrc_keras")
class Decoupling(TwoNetworks):
    """Decoupling (Malach and Shalev-Shwartz, NeurIPS 2017), algorithm 1.

    "When to update" is decoupled from "how to update": each network takes a step of
    cross-entropy on the samples of the batch that the two predict differently. Where
    they agree on all samples, there is nothing to learn: loss and gradient are 0. The
    method need not be told the noise rate. It predicts with the first network.

    Arguments and attributes are those of `TwoNetworks`.
    """

    def choose(self, labels: Any, logits_a: Any, logits_b: Any) -> Choice:
        """Both networks learn from the samples on which they disagree."""
        entropies = cross_entropies(labels, logits_a, logits_b)
        differ = disagreement(logits_a, logits_b)
        parts = [(entropy, differ) for entropy in entropies]
        return Choice(parts, differ, likelihood_of(entropies[0]))
