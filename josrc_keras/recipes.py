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
import math
from typing import Any, Literal, NamedTuple

import keras

from josrc_keras import labels, losses, schedules, teacher
from josrc_keras._layout import moved_names
from josrc_keras.adaptive import values
from josrc_keras.adaptive.rule import TrustRule
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher

__all__ = ["Recipe", "adaptive", "lean", "paper"]
__getattr__ = moved_names(__name__)


class Recipe(NamedTuple):
    """What makes a model train in a certain way.

    Attributes:
        model: Dict of arguments of `JoSRC` or `AdaptiveJoSRC`, besides network, number
            of classes and augmentation.
        callbacks: List of the callbacks that `fit` needs, for one call of `fit`.
        network: The network that `predict` uses: `"student"` or `"teacher"`.
        optimizer: The optimizer for `compile`, or None where any will do.
    """

    model: dict[str, Any]
    callbacks: list[keras.callbacks.Callback]
    network: Literal["student", "teacher"]
    optimizer: keras.optimizers.Optimizer | None = None


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


def lean(
    network: keras.Model,
    *,
    num_classes: int,
    num_samples: int,
    batch_size: int = 128,
    epochs: int,
) -> Recipe:
    """The adaptive method for a small budget of arithmetic.

    ```python
    recipe = recipes.lean(
        network, num_classes=10, num_samples=len(images), batch_size=64, epochs=20
    )
    model = AdaptiveJoSRC(network, 10, augmentation=augmentation, **recipe.model)
    model.compile(recipe.optimizer)
    model.fit(images, labels, batch_size=64, epochs=20, callbacks=recipe.callbacks)
    ```

    It has half of the views of `adaptive`: the teacher predicts one of each image, and
    the student learns from a blend of the other one. Views are blended by at most a
    quarter, the teacher averages over an epoch, and trust asks the other samples, too
    (`TrustRule.leave_one_out`). The optimizer is Muon at a rate of 0.01, which climbs
    for a fifth of the steps and falls to zero at the last one.

    It was chosen on 30 classes of CIFAR-100, by accuracy on held-out noisy labels
    (docs/explanation/how_it_was_chosen.md). On other data it is untried.

    Args:
        network: The network that is trained, whose last layer with weights makes the
            logits. Muon leaves that layer to AdamW.
        num_classes: C, at least 2.
        num_samples: Number of training images, at least one batch.
        batch_size: Samples per batch, as passed to `fit`.
        epochs: Number of epochs, as passed to `fit`.

    Returns:
        A `Recipe` for `AdaptiveJoSRC`, with an optimizer for one call of `fit`.

    Raises:
        ImportError: If Keras is older than 3.13, which has no Muon for convolutions.
        ValueError: If an argument is out of range, or the network is not built.
    """
    from josrc_keras.training import muon

    usual = adaptive(
        num_classes=num_classes,
        num_samples=num_samples,
        batch_size=batch_size,
        epochs=epochs,
    )
    rule = dataclasses.replace(usual.model["rule"], leave_one_out=True)
    changed = {"rule": rule, "mixup": 0.5}
    changed |= {"student_views": "second", "teacher_views": "first"}
    named = [layer.name for layer in network.layers if layer.weights]
    if not named:
        raise ValueError(
            "Expected a built network with layers that have weights. Received: "
            f"{network.name!r}, which has none. Call it on a batch of images first."
        )
    steps = epochs * math.ceil(num_samples / batch_size)
    decay = values.teacher_decay(num_samples, batch_size, epochs=1.0)
    return Recipe(
        model=usual.model | changed,
        callbacks=[LabelTrust(num_samples), MeanTeacher(decay=decay)],
        network="teacher",
        optimizer=muon.ConvolutionalMuon(
            schedules.WarmupLinear(1e-2, steps),
            weight_decay=None,
            exclude_layers=[f"{named[-1]}/"],
        ),
    )
