"""JoCoR: two networks trained on what they agree on, by one joint loss."""

import math
from typing import Any

import keras

from josrc_keras.baselines.coteaching import CoTeaching
from josrc_keras.baselines.small_loss import smallest
from josrc_keras.baselines.two_networks import (
    Choice,
    cross_entropies,
    likelihood_of,
)
from josrc_keras.divergence import symmetric_kl_divergence


@keras.saving.register_keras_serializable(package="josrc_keras")
class JoCoR(CoTeaching):
    """JoCoR (Wei et al., CVPR 2020), equations 1 to 5.

    A sample's loss is `(1 - co_lambda) (CE_1 + CE_2) + co_lambda (KL(p_1 || p_2) +
    KL(p_2 || p_1))`, in nats. The share R = 1 - forget rate of the batch with the
    smallest such losses is selected, and both networks take a step on their mean. The
    method has to be told the noise rate, by the callback `ForgetRate`. It predicts with
    the first network.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        peer: The second network, or None; see `TwoNetworks`.
        co_lambda: Weight of the divergence in [0, 1]; the paper uses 0.85 on CIFAR-100.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: If `co_lambda` is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        peer: keras.Model | None = None,
        co_lambda: float = 0.85,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, peer, **kwargs)
        if not 0 <= co_lambda <= 1:
            raise ValueError(
                f"`co_lambda` must be in [0, 1]. Received: co_lambda={co_lambda}."
            )
        self.co_lambda = co_lambda

    def choose(self, labels: Any, logits_a: Any, logits_b: Any) -> Choice:
        """Both networks learn from the samples with small joint losses."""
        entropy = sum(cross_entropies(labels, logits_a, logits_b))
        divergence = symmetric_kl_divergence(logits_a, logits_b, base=math.e)
        joint = (1 - self.co_lambda) * entropy + self.co_lambda * divergence
        selected = smallest(joint, 1.0 - self.forget_rate)
        return Choice([(joint, selected)], selected, likelihood_of(joint))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"co_lambda": self.co_lambda}
