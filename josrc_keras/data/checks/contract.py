"""What a batch must look like, and the errors where it does not."""

from typing import Any, NamedTuple

import keras
from keras import ops

VIEWS = {"view_a", "view_b"}
LABELS = {"label", "true_label", "index"}


class Batch(NamedTuple):
    """The parts of a batch: of tensors, of a whole dataset in arrays, or of specs.

    Attributes:
        images: `(N, H, W, channels)`, or a dict of `view_a` and `view_b`.
        labels: `(N,)` integers or `(N, C)` one-hot rows, the given labels.
        true_labels: `(N,)` integers, -1 = out-of-distribution, or None.
        sample_weight: `(N,)` finite and at least 0, or None.
        index: `(N,)` integers, each sample's number in the dataset, or None.
    """

    images: Any
    labels: Any
    true_labels: Any
    sample_weight: Any
    index: Any = None

    def image_parts(self):
        """A list of the image tensors: one, or both views."""
        if isinstance(self.images, dict):
            return [self.images["view_a"], self.images["view_b"]]
        return [self.images]

    def integer_labels(self):
        """The given labels as `(N,)` integers."""
        if len(self.labels.shape) == 2:
            return ops.argmax(self.labels, axis=-1)
        return self.labels


def unpack(data):
    """Takes apart `(image, label[, sample_weight])`.

    Args:
        data: A batch as `fit` passes it on, or its spec.

    Returns:
        A `Batch`.

    Raises:
        ValueError: If there are no labels, or the structure is unknown.
    """
    images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if labels is None:
        raise ValueError(
            "Expected (image, label). Received: images without labels. Pass both."
        )
    true_labels = index = None
    if isinstance(labels, dict):
        _check_label_keys(labels)
        true_labels, index = labels.get("true_label"), labels.get("index")
        labels = labels["label"]
        if isinstance(sample_weight, dict):  # Keras's `fit` makes one of an array.
            sample_weight = sample_weight.get("label")
    if isinstance(images, dict) and set(images) != VIEWS:
        raise ValueError(
            f"Images given as a dict must have the keys {sorted(VIEWS)}. Received: "
            f"{sorted(images)}. `views.two_views(augment)` makes them."
        )
    for part in (images, labels):
        if isinstance(part, (list, tuple)):
            raise ValueError(
                "Expected (image, label) with one array or tensor each. Received: a "
                f"{type(part).__name__} of {len(part)}. For two views pass a dict of "
                "'view_a' and 'view_b'; turn a list of labels into an array."
            )
    return Batch(images, labels, true_labels, sample_weight, index)


def _check_label_keys(labels):
    if "label" not in labels or not set(labels) <= LABELS:
        raise ValueError(
            "Labels given as a dict must have the key 'label', and may have "
            f"'true_label' and 'index'. Received: {sorted(labels)}. Rename the keys, "
            "or pass the labels alone."
        )


class Contract(NamedTuple):
    """What a model expects of its data.

    Attributes:
        num_classes: C.
        input_shape: `(None, H, W, channels)` of the network, or None if unknown.
        augmentation: The layer that makes the views, or None.
        needs_two_views: Whether training compares two views of an image.
        num_samples: Number of samples that the model remembers, or None.
    """

    num_classes: int
    input_shape: Any
    augmentation: Any
    needs_two_views: bool = True
    num_samples: Any = None

    def check(self, batch, *, training):
        """Checks the shapes and dtypes of a `Batch` of tensors, arrays or specs.

        Args:
            batch: A `Batch`.
            training: Whether two views will be made of the images.

        Raises:
            ValueError: With what was received, what is expected, and the fix.
        """
        augmented = not isinstance(batch.images, dict)
        views = training and augmented and self.needs_two_views
        if views and self.augmentation is None:
            raise ValueError(
                "Jo-SRC compares two views of each image. Received: single images and "
                "a model without `augmentation`, which would make two equal views and "
                "never find an out-of-distribution sample. Pass "
                "`JoSRC(..., augmentation=views.crop_and_flip())`, or a dataset of "
                "({'view_a', 'view_b'}, label)."
            )
        for image in batch.image_parts():
            self._check_image(image, augmented=augmented)
        self._check_labels(batch.labels)
        if batch.true_labels is not None:
            self._check_true_labels(batch.true_labels)
        if batch.index is not None:
            _check_index(batch.index)
        if batch.sample_weight is not None:
            _check_sample_weight(batch.sample_weight)

    def _check_image(self, image, *, augmented):
        shape = _shape(image)
        if not _is(image, "float", "bfloat", "int", "uint"):
            raise ValueError(
                f"Expected images of numbers. Received: dtype {dtype_name(image)}. "
                "Decode them to uint8 or float pixels."
            )
        _check_rank_known(shape, "images")
        if self.input_shape is None:
            return
        if len(shape) != len(self.input_shape):
            raise ValueError(
                f"Expected batches of images of shape (N, "
                f"{', '.join(map(str, self.input_shape[1:]))}). Received: {shape}. "
                "Batch the dataset, or add a channel axis with `images[..., None]`."
            )
        if augmented and self.augmentation is not None:
            try:
                shape = self.augmentation.compute_output_shape((None, *shape[1:]))
            except NotImplementedError:  # The first step will show a wrong shape.
                return
        for received, expected in zip(shape[1:], self.input_shape[1:], strict=True):
            if None not in (received, expected) and received != expected:
                raise ValueError(
                    f"Expected images of shape {tuple(self.input_shape[1:])}, the "
                    f"network's input. Received: {tuple(shape[1:])}. Resize the images "
                    "or build the network for their size."
                )

    def _check_labels(self, labels):
        shape = _shape(labels)
        _check_rank_known(shape, "labels")
        rows = len(shape) == 2 and shape[1] == self.num_classes
        if rows and _is(labels, "float", "int", "uint", "bool"):
            return
        expected = (
            f"Expected labels as integers in [0, {self.num_classes - 1}] of shape (N,) "
            f"or one-hot rows of shape (N, {self.num_classes})."
        )
        if len(shape) != 1:
            raise ValueError(
                f"{expected} Received: shape {shape}. Squeeze labels of shape (N, 1), "
                "batch a dataset of single samples, or pass the right `num_classes`."
            )
        if not _is(labels, "int", "uint"):
            raise ValueError(
                f"{expected} Received: dtype {dtype_name(labels)}. Number the "
                "classes, for example with `np.unique(labels, return_inverse=True)[1]`."
            )

    def _check_true_labels(self, true_labels):
        shape = _shape(true_labels)
        _check_rank_known(shape, "true labels")
        if len(shape) != 1 or not _is(true_labels, "int"):
            raise ValueError(
                "Expected true labels as signed integers of shape (N,), -1 for "
                f"out-of-distribution. Received: shape {shape}, dtype "
                f"{dtype_name(true_labels)}."
            )


def _check_index(index):
    shape = _shape(index)
    if shape is None or len(shape) != 1 or not _is(index, "int", "uint"):
        raise ValueError(
            "Expected each sample's number in the dataset as integers of shape (N,). "
            f"Received: shape {shape}, dtype {dtype_name(index)}. "
            "`Dataset.enumerate()` before `shuffle` gives them."
        )


def _check_sample_weight(weight):
    shape = None if isinstance(weight, dict) else _shape(weight)
    if shape is None or len(shape) != 1:
        raise ValueError(
            "Expected sample weights of shape (N,), one for each image. Received: "
            f"{'a dict' if isinstance(weight, dict) else f'shape {shape}'}. Squeeze "
            "them."
        )


def _check_rank_known(shape, what):
    if shape is None:
        raise ValueError(
            f"Expected {what} whose number of dimensions is known. Received: a dataset "
            "that leaves it open. Give `from_generator` an `output_signature`, or call "
            "`tf.ensure_shape` in a `map`."
        )


def _shape(part):
    """The shape as a tuple, or None where a spec does not know its rank."""
    try:
        return tuple(part.shape)
    except ValueError:  # A `tf.TensorShape` of unknown rank.
        return None


def _is(part, *prefixes):
    """Whether the dtype's name starts with one of the prefixes."""
    return dtype_name(part).startswith(prefixes)


def dtype_name(part):
    """The name of an array's, tensor's or spec's dtype."""
    return getattr(part.dtype, "name", str(part.dtype))
