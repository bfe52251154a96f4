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
from typing import Any, Literal, NamedTuple

import keras

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
        model: Dict of arguments of `JoSRC` or `AdaptiveJoSRC`, besides network, number
            of classes and augmentation.
        callbacks: List of the callbacks that `fit` needs, for one call of `fit`.
        network: The network that `predict` uses: `"student"` or `"teacher"`.
    """

    model: dict[str, Any]
    callbacks: list[keras.callbacks.Callback]
    network: Literal["student", "teacher"]


def paper(
    *,
    smoothing: float = labels.SMOOTHING,
    alpha: float = losses.ALPHA,
    tau_c: float = schedules.TAU_C,
    tau_m: float = schedules.TAU_M,
    warmup_epochs: int = schedules.WARMUP_EPOCHS,
    decay: float = teacher.DECAY,
) -> Recipe:
    """The paper's method with its values for CIFAR-100 (Yao et al., section 4.1).

    Args:
        smoothing: The paper's epsilon (eq. 5), in `[0, (C - 1) / C)`.
        alpha: Weight of the consistency term (eq. 10), in [0, 1].
        tau_c: Threshold at the end of the warm-up (eq. 12), in [0, 1].
        tau_m: Threshold at the last epoch, in [tau_c, 1].
        warmup_epochs: The paper's t_w, at least 0.
        decay: The paper's omega (eq. 8), in [0, 1).

    Returns:
        A `Recipe` for `JoSRC`.

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


def adaptive(
    *,
    num_classes: int,
    num_samples: int,
    batch_size: int = 128,
    epochs: int | None = None,
) -> Recipe:
    """The adaptive method, with every value taken from the data.

    The method trusts each label as far as its history bears it out
    (`josrc_keras.adaptive`). The data decides:

    - number of samples: how many samples are remembered;
    - number of samples and batch size: how fast the teacher follows
      (`adaptive.values.teacher_decay`);
    - epochs: the warm-up, the memory, and when the noise rate may be held
      (`TrustRule`). With `epochs=None` they follow the number of epochs of `fit`;
    - number of classes, samples and epochs: how far views are blended
      (`adaptive.values.mixup`). With `epochs=None` they are blended in full.

    results/robustness/README.md has what the method gains on datasets that it was not
    developed on, and what each of its parts contributes.

    Args:
        num_classes: C, at least 2.
        num_samples: Number of training images, at least one batch.
        batch_size: Samples per batch, as passed to `fit`.
        epochs: Number of epochs, as passed to `fit`, or None.

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
