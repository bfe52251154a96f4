"""The values of the paper and of the adaptive method, each in its one home.

Nothing here needs Keras, so that configurations are read before it is imported.
`labels`, `losses`, `schedules`, `selection` and `teacher` offer the constants under
their names, and `model.Choices` and `adaptive.TrustRule` say what the fields mean.
"""

import dataclasses
from typing import Self

SMOOTHING = 0.6  # The paper's epsilon (eq. 5), for 80 to 100 classes.
SCALE = 10.0  # The paper's s (eq. 7).
ALPHA = 0.5  # The paper's weight of the consistency term (eq. 10), for CIFAR.
DECAY = 0.99  # The paper's omega (eq. 8).
TAU_C = 0.75  # Threshold at the end of the warm-up.
TAU_M = 0.95  # Threshold at the last epoch.
WARMUP_EPOCHS = 10  # The paper's t_w.
TAU_OOD = 0.5  # Any value in (0, 1) selects the same samples: eq. 4 is 0 or 1.
UNCLEAN = ("in_distribution", "out_of_distribution")


@dataclasses.dataclass(frozen=True)
class ChoiceValues:
    """The fields of `model.Choices` and their defaults."""

    consistency_base: float = 2.0
    inclusive: bool = False
    teacher_views: str = "both"
    teacher_statistics: str = "batch"
    bounded: bool = False

    @classmethod
    def paper_text(cls) -> Self:
        """Makes the choices of the paper's text."""
        return cls(teacher_views="first")

    @classmethod
    def published_code(cls) -> Self:
        """Makes the choices of the published code."""
        return cls(inclusive=True)


@dataclasses.dataclass(frozen=True)
class TrustValues:
    """The fields of `adaptive.TrustRule` and their defaults."""

    smoothing: float = 0.0
    alpha: float = 0.0
    judge: str = "teacher"
    temperature: float = 0.5
    unclean_weight: str = "confidence"
    tau_ood: float = 0.5
    doubt: float = 0.5
    warmup_epochs: int | None = None
    warmup_share: float = 0.1
    memory_epochs: float | None = None
    memory_share: float = 0.25
    sharpness: float = 2.0
    transitions: bool = True
    strength: float = 10.0
    allowance: float = 0.5
    hold: bool = True
    hold_share: float = 0.25
    learnt: float = 0.5
    average: str = "probability"
    leave_one_out: bool = False
    balance: float = 0.0
    forgetting: float = 0.0
    negative: float = 0.0
    least_rate: float = 0.01
    most_rate: float = 0.9
