"""Values that the adaptive method takes from the data."""

TEACHER_EPOCHS = 4  # Epochs that the adaptive method's teacher averages over.
DECAYS = (0.9, 0.999)  # The least and the largest decay of the teacher.
MIXED_IMAGES = 2500  # Images of a class seen in training, from which on mixup is full.


def mixup(num_classes, num_samples, epochs, *, full_from=MIXED_IMAGES):
    """How much of another image views are blended with; see `adaptive.mixup`.

    Full where training sees at least 2,500 images of each class, and in proportion
    where it sees fewer: blends keep a network from learning wrong labels by heart,
    which takes many epochs, and make it learn the right ones more slowly.
    docs/explanation/how_it_was_chosen.md has the measurement, of few runs.

    Args:
        num_classes: C.
        num_samples: Number of training images that an epoch sees.
        epochs: Number of epochs, or None for many.
        full_from: Images of a class seen in training, from which on mixup is full.

    Returns:
        A float in (0, 1].
    """
    if epochs is None:
        return 1.0
    return min(epochs * num_samples / (full_from * num_classes), 1.0)


def teacher_decay(num_samples, batch_size, *, epochs=TEACHER_EPOCHS):
    """The decay of a mean teacher that averages over about four epochs.

    The average is capped at 1,000 steps, which is fewer than four epochs where an epoch
    has more than 250 steps.

    Args:
        num_samples: Number of training images that an epoch sees.
        batch_size: Samples a batch.
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
