"""Values that the adaptive method takes from the data."""

TEACHER_EPOCHS = 4  # Epochs that the teacher averages over.
DECAYS = (0.9, 0.999)  # The least and the largest decay of the teacher.
MIXED_IMAGES = 2500  # Blends are full if training sees this many images of a class.


def mixup(
    num_classes: int,
    num_samples: int,
    epochs: int | None,
    *,
    full_from: int = MIXED_IMAGES,
) -> float:
    """How much of another image views are blended with; see `adaptive.mixup`.

    Blends are full where training sees at least 2,500 images of each class, and smaller
    in proportion where it sees fewer. They keep a network from learning wrong labels by
    heart, which takes many epochs, but make it learn the right labels more slowly.
    docs/explanation/how_it_was_chosen.md has the measurement, on few runs.

    Args:
        num_classes: C.
        num_samples: Number of training images in an epoch.
        epochs: Number of epochs; None means full blends.
        full_from: Number of images of each class, counted anew in each epoch, from
            which on blends are full.

    Returns:
        A float in (0, 1].
    """
    if epochs is None:
        return 1.0
    return min(epochs * num_samples / (full_from * num_classes), 1.0)


def teacher_decay(
    num_samples: int, batch_size: int, *, epochs: float = TEACHER_EPOCHS
) -> float:
    """The decay of a mean teacher that averages over about four epochs.

    The average is capped at 1,000 steps, which is fewer than four epochs where an epoch
    has more than 250 steps.

    Args:
        num_samples: Number of training images in an epoch.
        batch_size: Samples per batch.
        epochs: Number of epochs to average over, positive.

    Returns:
        A float in [0.9, 0.999].

    Raises:
        ValueError: If there is no whole batch.
    """
    steps = num_samples // batch_size
    if steps < 1:
        raise ValueError(
            f"Expected batch_size of at most the number of samples, {num_samples}. "
            f"Received: batch_size={batch_size}."
        )
    return min(max(1.0 - 1.0 / (epochs * steps), DECAYS[0]), DECAYS[1])
