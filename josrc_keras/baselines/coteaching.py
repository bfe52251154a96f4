"""Co-teaching: each network learns from what the other finds easy."""

from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras.baselines.small_loss import smallest
from josrc_keras.baselines.two_networks import (
    Choice,
    TwoNetworks,
    cross_entropies,
    likelihood_of,
)
from josrc_keras.data.checks import contract
from josrc_keras.training.step import Outcome


@keras.saving.register_keras_serializable(package="josrc_keras")
class CoTeaching(TwoNetworks):
    """Co-teaching (Han et al., NeurIPS 2018), algorithm 1.

    Each network selects the share R = 1 - forget rate of the batch with its smallest
    cross-entropies, and the other network takes a step on them. The method has to be
    told the noise rate, by the callback `ForgetRate`. It predicts with the first
    network.

    Arguments and further attributes are those of `TwoNetworks`.

    Attributes:
        forget_rate: Variable, the share of a batch that is left out, in [0, 1].
    """

    controls: ClassVar[dict] = {"forget_rate": "ForgetRate(rate=0.2)"}
    training_metrics = (*TwoNetworks.training_metrics, "forget_rate")

    def make_metrics(self) -> None:
        """Creates the metrics, and the variable that the callback sets."""
        super().make_metrics()
        self.make_variables("forget_rate")

    def choose(self, labels: Any, logits_a: Any, logits_b: Any) -> Choice:
        """Each network learns from the small losses of the other."""
        return self.exchange(*cross_entropies(labels, logits_a, logits_b))

    def exchange(
        self, entropy_a: Any, entropy_b: Any, among: Any = None, up: Any = 0.0
    ) -> Choice:
        """The choice by small losses among candidates.

        Args:
            entropy_a: `(N,)` cross-entropies of the first network.
            entropy_b: `(N,)` cross-entropies of the second network.
            among: As for `smallest`.
            up: As for `smallest`.

        Returns:
            A `Choice`.
        """
        share = 1.0 - self.forget_rate
        by_student = smallest(entropy_a, share, among, up)
        by_peer = smallest(entropy_b, share, among, up)
        parts = [(entropy_a, by_peer), (entropy_b, by_student)]
        return Choice(parts, by_student, likelihood_of(entropy_a))

    def learn(self, batch: contract.Batch) -> Outcome:
        """The outcome of `TwoNetworks`, with the forget rate among the metrics."""
        outcome = super().learn(batch)
        forget_rate = ops.convert_to_tensor(self.forget_rate)
        return outcome._replace(means=outcome.means | {"forget_rate": (forget_rate,)})
