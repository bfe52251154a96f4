"""Encoded images with labels, decoded one after the other to be written as records."""

import collections
import contextlib
import io
import os

import numpy as np

from josrc_keras.data.photos import decoding
from josrc_keras.data.records.writing import FIELDS


class Examples:
    """One split's examples; decodes the images on all cores, with few in memory.

    Args:
        examples: Iterable of dicts, or a `tf.data.Dataset` of them; see
            `records.write_files`.
        split: Name of the split.
        num_classes: Number of classes.

    Attributes:
        skipped: `(id, reason)` of each image so far that can't be decoded.
    """

    def __init__(self, examples, split, num_classes):
        self.examples = examples
        self.split = split
        self.num_classes = num_classes
        self.skipped: list = []
        # The fields of decoded images, and those of images that wait for decoding.
        self._known: dict = {field: [] for field in FIELDS}
        self._waiting: collections.deque = collections.deque()
        self._has_truth: bool | None = None

    def images(self, size):
        """Yields the decoded images, `(size, size, 3)` uint8.

        Raises:
            ValueError: If an example lacks a key, or has a label out of range.
        """
        with contextlib.closing(decoding.decode_all(self._sources(), size)) as decoded:
            for image in decoded:
                known = self._waiting.popleft()
                if isinstance(image, str):
                    self.skipped.append((known[FIELDS.index("ids")], image))
                    continue
                for values, value in zip(self._known.values(), known, strict=True):
                    values.append(value)
                yield image

    def fields(self):
        """The `FIELDS` of the images that were decoded: arrays, or None.

        Raises:
            ValueError: If no image was decoded.
        """
        if not self._known["labels"]:
            first = f", the first {self.skipped[0]}" if self.skipped else ""
            raise ValueError(
                f"Expected images in the split {self.split!r}. Received: "
                f"{len(self.skipped)} broken ones{first}, and no other. Check the "
                "paths or bytes."
            )
        fields: dict = {name: np.array(values) for name, values in self._known.items()}
        if not self._has_truth:
            fields["true_labels"] = None
        if (fields["verified"] < 0).all():
            fields["verified"] = None
        return fields

    def _sources(self):
        """Yields what to decode of each example, a path or a file."""
        examples = self.examples
        if hasattr(examples, "as_numpy_iterator"):
            examples = examples.as_numpy_iterator()
        for number, example in enumerate(examples):
            missing = {"image", "label", "id"} - set(example)
            if missing:
                self._refuse(number, f"none of {sorted(missing)}, only {set(example)}")
            image, name = example["image"], example["id"]
            name = name.decode() if isinstance(name, bytes) else name
            if not isinstance(image, bytes | str | os.PathLike):
                self._refuse(name, f"an image of type {type(image).__name__}")
            known = (*self._labels_of(name, example), name)
            self._waiting.append((*known, self._verified(name, example)))
            yield io.BytesIO(image) if isinstance(image, bytes) else image

    def _labels_of(self, name, example):
        """The given label, and the true label or None."""
        label, truth = example["label"], example.get("true_label")
        if self._has_truth is None:
            self._has_truth = truth is not None
        if self._has_truth != (truth is not None):
            self._refuse(name, f"true_label={truth}, unlike in the examples before")
        if not 0 <= label < self.num_classes:
            self._refuse(name, f"label={label}")
        if truth is None:
            return int(label), None
        if not -1 <= truth < self.num_classes:
            self._refuse(name, f"true_label={truth}")
        return int(label), int(truth)

    def _verified(self, name, example):
        """1, 0 or -1, as `Split.verified` has it."""
        verified = int(example.get("verified", -1))
        if verified not in (1, 0, -1):
            self._refuse(name, f"verified={verified}")
        return verified

    def _refuse(self, name, received):
        raise ValueError(
            "Expected examples {'image': bytes or a path, 'label': number of a class, "
            "'id': text}, all or none of them with a 'true_label' (-1 = out of "
            "distribution), maybe with 'verified' (1 = right, 0 = wrong, -1 = not "
            f"looked at), and {self.num_classes} classes. Received: in the split "
            f"{self.split!r}, {name!r} with {received}. Change the examples."
        )
