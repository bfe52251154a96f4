"""Co-teaching+: Co-teaching where the two networks disagree."""

from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras.baselines.coteaching import CoTeaching
from josrc_keras.baselines.small_loss import disagreement
from josrc_keras.baselines.two_networks import Choice, cross_entropies


@keras.saving.register_keras_serializable(package="josrc_keras")
class CoTeachingPlus(CoTeaching):
    """Co-teaching+ (Yu et al., ICML 2019), algorithm 1.

    It is Co-teaching, but small losses are selected among the samples that the two
    networks predict differently. Where they agree on all samples of a batch, there is
    nothing to learn. In the first epochs, until `disagreement_only` is set, it is plain
    Co-teaching. The method has to be told the noise rate, by the callback `ForgetRate`.
    It predicts with the first network.

    Arguments and further attributes are those of `CoTeaching`.

    Attributes:
        disagreement_only: Variable, 1 once only disagreement counts, 0 before.
    """

    controls: ClassVar[dict] = {
        "forget_rate": "ForgetRate(rate=0.2, agreeing_epochs=5)"
    }

    def make_metrics(self) -> None:
        """Creates the metrics, and the variables that the callback sets."""
        super().make_metrics()
        self.make_variables("disagreement_only")

    def choose(self, labels: Any, logits_a: Any, logits_b: Any) -> Choice:
        """Each network learns from the small losses of the other, where they disagree.

        Since such samples are few, their selected number is rounded up.
        """
        among = ops.logical_or(
            disagreement(logits_a, logits_b), self.disagreement_only == 0
        )
        entropy_a, entropy_b = cross_entropies(labels, logits_a, logits_b)
        up = ops.cast(self.disagreement_only, "float32")
        return self.exchange(entropy_a, entropy_b, among, up)
