"""Model arguments and callbacks that belong together.

```python
recipe = recipes.adaptive(
    num_classes=10, num_samples=len(images), batch_size=64, epochs=40
)
model = JoSRC(network, 10, augmentation=views.crop_and_flip(), **recipe.model)
model.compile("adam")
model.fit(images, labels, batch_size=64, epochs=40, callbacks=recipe.callbacks)
```
"""

from typing import Any, NamedTuple

from josrc_keras.adaptive import trust
from josrc_keras.adaptive.values import mixup, teacher_decay
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher

# Arguments of `JoSRC` in the adaptive recipe that do not depend on the data. All, and
# `TEACHER_EPOCHS` and `MIXED_IMAGES`, were compared with others on held-out noisy
# labels, which changed the temperature alone: benchmarks/choose.py.
ADAPTIVE: dict = {
    "smoothing": 0.0,
    "alpha": 0.0,
    "judge": "teacher",
    "temperature": 0.5,
    "unclean_weight": "confidence",
}


class Recipe(NamedTuple):
    """What makes a `JoSRC` model train in a certain way.

    Attributes:
        model: Dict of arguments of `JoSRC`, beside network, classes and augmentation.
        callbacks: List of the callbacks that `fit` needs. They are for one `fit`.
        network: Which network to use afterwards: `"student"` or `"teacher"`.
    """

    model: Any
    callbacks: Any
    network: str


def paper(
    *, smoothing=0.6, alpha=0.5, tau_c=0.75, tau_m=0.95, warmup_epochs=10, decay=0.99
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
    """The recipe without knobs: trusts each label as far as its history bears it out.

    See `josrc_keras.adaptive.trust` for the selection. What it takes from the data:

    - number of samples: for how many to remember;
    - batch: with the number of samples, how fast the teacher follows, see
      `teacher_decay`;
    - epochs: see `trust.warmup_epochs`, `trust.memory_epochs` and `trust.hold_epochs`.
      None leaves it to what `fit` is told;
    - number of classes: with samples and epochs, how far views are blended, see
      `mixup`, which epochs=None takes for many. The trust in labels allows for it by
      itself and needs no smoothing.

    Targets are sharpened as in MixMatch (Berthelot et al., NeurIPS 2019). Switches and
    constants were compared with others on held-out noisy labels of the suite's
    developing half, see results/README.md. results/robustness/README.md has what the
    recipe gains on the reported half, and what each part of it contributes.

    Args:
        num_classes: C, at least 2.
        num_samples: Number of training images.
        batch_size: Samples a batch, the one that `fit` is told.
        epochs: Number of epochs, the one that `fit` is told, or None.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if num_classes < 2:
        raise ValueError(
            f"Expected at least two classes. Received: num_classes={num_classes}."
        )
    fields = {}
    if epochs is not None:
        fields["warmup_epochs"] = trust.warmup_epochs(epochs)
        fields["memory_epochs"] = trust.memory_epochs(epochs)
    return Recipe(
        model={
            "samples": num_samples,
            "mixup": mixup(num_classes, num_samples, epochs),
            **ADAPTIVE,
        },
        callbacks=[
            LabelTrust(num_samples, **fields),
            MeanTeacher(decay=teacher_decay(num_samples, batch_size)),
        ],
        network="teacher",
    )
