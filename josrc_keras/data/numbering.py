"""Numbers for the samples of a `tf.data.Dataset`, before it is shuffled."""

from typing import Any

import numpy as np

LOOKED_AT = 256  # Samples of two readings that are compared.


def numbered(dataset: Any) -> Any:
    """A dataset with each sample's number, as a model that remembers samples needs it.

    Takes what `keras.utils.image_dataset_from_directory(..., shuffle=False)` and
    `tfds.load(..., as_supervised=True)` give, batched or not. Shuffle the result, not
    what goes in:

    ```python
    dataset = keras.utils.image_dataset_from_directory(
        "photos", shuffle=False, batch_size=None
    )
    train = data.numbered(dataset).shuffle(1000).batch(32)
    ```

    Args:
        dataset: A `tf.data.Dataset` of `(image, label)` or of batches of them, where
            the label may be a dict of `label` and `true_label`.

    Returns:
        A `tf.data.Dataset` of `(image, {"label", "index"})`, in the same order and in
        the same batches. `index` is an int64, from 0 on.

    Raises:
        TypeError: If it is no `tf.data.Dataset` of `(image, label)`.
        ValueError: If the dataset is endless, or its order changes from one reading to
            the next.
    """
    import tensorflow as tf

    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise TypeError(
            "Expected a tf.data.Dataset of (image, label). Received: "
            f"{spec if spec is not None else type(dataset).__name__}. Load TensorFlow "
            "Datasets with as_supervised=True, or map the elements to such pairs."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "Expected a dataset that ends. Received: an endless one. Number it before "
            "`repeat()`."
        )
    _check_order(dataset)
    label_spec = spec[1]["label"] if isinstance(spec[1], dict) else spec[1]
    image_spec = tf.nest.flatten(spec[0])[0]
    batched = label_spec.shape.rank == 1 and image_spec.shape.rank != 3
    batched = batched or label_spec.shape.rank == 2

    @tf.autograph.experimental.do_not_convert
    def number(start, element):
        image, label = element
        label = dict(label) if isinstance(label, dict) else {"label": label}
        count = tf.constant(1, tf.int64)
        label["index"] = start
        if batched:
            count = tf.shape(label["label"], out_type=tf.int64)[0]
            label["index"] = start + tf.range(count)
        return start + count, (image, label)

    return dataset.scan(tf.constant(0, tf.int64), number)


def _check_order(dataset):
    """Raises a `ValueError` if two readings of a dataset differ at their beginning."""
    first, second = _beginning(dataset), _beginning(dataset)
    same = len(first) == len(second) and all(
        np.array_equal(a, b) for a, b in zip(first, second, strict=True)
    )
    if not same:
        raise ValueError(
            "Expected a dataset with the same order each time. Received: one that is "
            "shuffled anew in each reading, so that a number would be another sample's "
            "in the next epoch. Pass shuffle=False to "
            "`keras.utils.image_dataset_from_directory`, shuffle_files=False to "
            "`tfds.load`, and shuffle after numbering."
        )


def _beginning(dataset):
    """The labels and the pixels' sums of the first elements, as arrays."""
    found: list = []
    count = 0
    for image, label in dataset:
        label = label["label"] if isinstance(label, dict) else label
        image = next(iter(image.values())) if isinstance(image, dict) else image
        found += [np.asarray(label), np.asarray(image, "float64").sum()]
        count += max(int(np.size(label)), 1)
        if count >= LOOKED_AT:
            break
    return found
