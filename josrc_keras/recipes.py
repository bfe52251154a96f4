"""Model arguments and callbacks that belong together.

```python
recipe = recipes.adaptive(
    num_classes=10, num_samples=len(images), batch_size=64, epochs=40
)
model = AdaptiveJoSRC(network, 10, augmentation=augmentation, **recipe.model)
model.compile("adam")
model.fit(images, labels, batch_size=64, epochs=40, callbacks=recipe.callbacks)
```
"""

import dataclasses
from typing import Any, NamedTuple

from josrc_keras import labels, losses, schedules, teacher
from josrc_keras._layout import moved_names
from josrc_keras.adaptive import values
from josrc_keras.adaptive.rule import TrustRule
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher

__all__ = ["Recipe", "adaptive", "paper"]
__getattr__ = moved_names(__name__)


class Recipe(NamedTuple):
    """What makes a model train in a certain way.

    Attributes:
        model: Dict of arguments of `JoSRC` or `AdaptiveJoSRC`, beside network, classes
            and augmentation.
        callbacks: List of the callbacks that `fit` needs. They are for one `fit`.
        network: Which network answers: `"student"` or `"teacher"`.
    """

    model: Any
    callbacks: Any
    network: str


def paper(
    *,
    smoothing=labels.SMOOTHING,
    alpha=losses.ALPHA,
    tau_c=schedules.TAU_C,
    tau_m=schedules.TAU_M,
    warmup_epochs=schedules.WARMUP_EPOCHS,
    decay=teacher.DECAY,
):
    """The paper's method with its values for CIFAR-100 (Yao et al., section 4.1).

    Args:
        smoothing: The paper's epsilon (eq. 5).
        alpha: Weight of the consistency term (eq. 10).
        tau_c: Threshold at the end of the warm-up (eq. 12).
        tau_m: Threshold at the last epoch.
        warmup_epochs: The paper's t_w.
        decay: The paper's omega (eq. 8).

    Returns:
        A `Recipe`.

    Raises:
        ValueError: If an argument is out of range.
    """
    return Recipe(
        model={"smoothing": smoothing, "alpha": alpha},
        callbacks=[
            CleanThreshold(tau_c=tau_c, tau_m=tau_m, warmup_epochs=warmup_epochs),
            MeanTeacher(decay=decay),
        ],
        network="student",
    )


def adaptive(*, num_classes, num_samples, batch_size=128, epochs=None):
    """The adaptive method with values from the data: no knob is left.

    It trusts each label as far as its history bears it out (`josrc_keras.adaptive`).
    What it takes from the data:

    - number of samples: how many are remembered;
    - number of samples and batch size: how fast the teacher follows
      (`adaptive.values.teacher_decay`);
    - epochs: warm-up, memory and when the noise rate may be held (`TrustRule`). None
      leaves them to what `fit` is told;
    - number of classes, samples and epochs: how far views are blended
      (`adaptive.values.mixup`). With `epochs=None` they are blended in full.

    results/robustness/README.md has what the method gains on datasets that it was not
    developed on, and what each of its parts contributes.

    Args:
        num_classes: C, at least 2.
        num_samples: Number of training images, at least one batch.
        batch_size: Samples a batch, the number that `fit` is told.
        epochs: Number of epochs, the one that `fit` is told, or None.

    Returns:
        A `Recipe` for `AdaptiveJoSRC`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if num_classes < 2:
        raise ValueError(
            f"Expected at least two classes. Received: num_classes={num_classes}."
        )
    rule = TrustRule()
    if epochs is not None:
        rule = dataclasses.replace(
            rule,
            warmup_epochs=rule.warmup(epochs),
            memory_epochs=rule.memory(epochs),
        )
    decay = values.teacher_decay(num_samples, batch_size)
    return Recipe(
        model={
            "num_samples": num_samples,
            "mixup": values.mixup(num_classes, num_samples, epochs),
            "rule": rule,
        },
        callbacks=[LabelTrust(num_samples), MeanTeacher(decay=decay)],
        network="teacher",
    )
