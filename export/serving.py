"""What an exported classifier takes and returns, as a Keras model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from josrc_keras._checks import check_choice
from josrc_keras.export import sources

DTYPES = ("float32", "uint8")
RESIZES = (None, "crop", "stretch")
OUTPUTS = ("logits", "probabilities")


@dataclasses.dataclass(frozen=True)
class Serving:
    """What an exported classifier takes and returns.

    The input `image` is `(N, H, W, channels)`, any N, with pixels in [0, 255]. Outputs
    are `logits` and `probabilities`, float32 `(N, C)`. With `top_k` there are also
    `top_classes` (int32), `top_probabilities` (float32) and, where names are given,
    `top_names` (strings), each `(N, top_k)`, most probable first. The format "keras"
    has no `top_names`.

    Args:
        dtype: Type of `image`: `"float32"` or `"uint8"`.
        resize: None if images come in the size that the network was built for. With
            `"crop"` images of any size are cropped in the middle, to the proportions
            of the resized ones, and resized. With `"stretch"` they are only resized.
            Resizing is bilinear, without antialiasing, which ONNX can't express.
        image_size: `(H, W)` that the network sees; None takes its built size.
        resize_to: `(H, W)` that images are resized to before the middle `image_size`
            is cropped, where evaluation did so (256, of which 224 are seen). None takes
            `image_size`, of which nothing is cropped.
        rescale: `(scale, offset)`, numbers or one for each channel. The network sees
            `pixel * scale + offset`. This is for networks that do not normalise pixels
            themselves, unlike those in `josrc_keras.networks`.
        outputs: Which of `"logits"` and `"probabilities"`, at least one.
        top_k: Number of most probable classes to return; 0 for none.
        class_names: Names of the C classes in label order; empty if unknown.
        temperature: Positive number that logits are divided by before the softmax. It
            changes probabilities, but neither logits nor the order of the classes.

    Raises:
        TypeError: If `class_names` is a single text.
        ValueError: If an argument is out of range.
    """

    dtype: str = "float32"
    resize: str | None = None
    image_size: Any = None
    rescale: Any = None
    outputs: tuple[str, ...] = OUTPUTS
    top_k: int = 0
    class_names: Sequence[str] = ()
    temperature: float = 1.0
    resize_to: Any = None  # It is last, so that the others keep their positions.

    def __post_init__(self) -> None:
        check_choice("Serving.dtype", self.dtype, DTYPES)
        check_choice("Serving.resize", self.resize, RESIZES)
        if not self.outputs or not set(self.outputs) <= set(OUTPUTS):
            raise ValueError(
                f"Expected Serving.outputs with at least one of {OUTPUTS}. Received: "
                f"{self.outputs!r}."
            )
        if not 0 < self.temperature < np.inf:
            raise ValueError(
                "Expected Serving.temperature to be positive. Received: "
                f"{self.temperature}."
            )
        if isinstance(self.class_names, str):
            raise TypeError(
                "Expected Serving.class_names as a list of names. Received: "
                f"{self.class_names!r}."
            )
        if self.resize_to is not None and self.resize is None:
            raise ValueError(
                "Expected Serving.resize_to=None where images are not resized. "
                f"Received: resize_to={self.resize_to} with resize=None. Choose "
                "resize='crop' or 'stretch' too, or leave resize_to out."
            )
        plain = {
            "outputs": tuple(self.outputs),
            "class_names": tuple(map(str, self.class_names)),
            "temperature": float(self.temperature),
            "image_size": self._plain_size("image_size"),
            "resize_to": self._plain_size("resize_to"),
            "rescale": self._plain_rescale(),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def _plain_size(self, name):
        """A field's height and width as a tuple of two, or None."""
        size = getattr(self, name)
        if size is None:
            return None
        if not isinstance(size, (tuple, list)) or len(size) != 2:
            raise ValueError(
                f"Expected Serving.{name}=(height, width). Received: {size!r}."
            )
        return tuple(None if side is None else int(side) for side in size)

    def _plain_rescale(self):
        """`rescale` as two numbers or lists of numbers, or None."""
        if self.rescale is None:
            return None
        try:
            scale, offset = (np.asarray(p, "float64").tolist() for p in self.rescale)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "Expected Serving.rescale=(scale, offset), numbers or one a channel. "
                f"Received: {self.rescale!r}."
            ) from error
        return scale, offset

    def fitted_to(
        self, network_shape: Sequence[int | None], num_classes: int
    ) -> "Serving":
        """A copy with `image_size` and `resize_to` set, checked against a network.

        Args:
            network_shape: `(N, H, W, channels)` of the network's input, None where any
                will do.
            num_classes: C.

        Returns:
            A `Serving`.

        Raises:
            ValueError: If this does not fit the network.
        """
        built = tuple(network_shape[1:3])
        size = tuple(self.image_size or built)
        allowed = zip(built, size, strict=True)
        if any(side not in (None, chosen) for side, chosen in allowed):
            raise ValueError(
                f"Expected Serving.image_size {built}, as the network was built. "
                f"Received: {size}."
            )
        if self.resize is not None and None in size:
            raise ValueError(
                "Expected Serving.image_size=(height, width) to resize to, since the "
                f"network takes images of any size. Received: {self.image_size}."
            )
        resize_to = self._fitted_resize_to(size)
        channels = network_shape[3]
        for part in self.rescale or ():
            if np.ndim(part) and np.shape(part) not in ((1,), (channels,)):
                raise ValueError(
                    f"Expected Serving.rescale of numbers, or of {channels}, one a "
                    f"channel. Received: {self.rescale}."
                )
        if not 0 <= self.top_k <= num_classes:
            raise ValueError(
                f"Expected Serving.top_k from 0 to the {num_classes} classes. "
                f"Received: {self.top_k}."
            )
        if self.class_names and len(self.class_names) != num_classes:
            raise ValueError(
                f"Expected {num_classes} Serving.class_names, one for each output of "
                f"the network. Received: {len(self.class_names)}."
            )
        return dataclasses.replace(self, image_size=size, resize_to=resize_to)

    def _fitted_resize_to(self, size):
        """`(H, W)` to resize to, before `size` is cropped; None without resizing."""
        if self.resize is None:
            return None
        wanted = self.resize_to or size
        pairs = zip(wanted, size, strict=True)
        if any(side is None or side < least for side, least in pairs):
            raise ValueError(
                f"Expected Serving.resize_to of at least {size}, the size that is "
                f"cropped of it and that the network sees. Received: {wanted}. Choose "
                "a larger one, or leave it out to resize without cropping."
            )
        return wanted

    @property
    def has_names(self) -> bool:
        """Whether `top_names` is among the outputs."""
        return bool(self.top_k and self.class_names)

    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs in order, without `top_names`."""
        ranked = ("top_classes", "top_probabilities") if self.top_k else ()
        return (*(name for name in OUTPUTS if name in self.outputs), *ranked)

    def input_shape(self, channels: int) -> tuple[int | None, ...]:
        """`(N, H, W, channels)` of `image`, with None where any will do."""
        size = (None, None) if self.resize else self.image_size
        return (None, *size, channels)

    def resizing(self) -> list[keras.Layer]:
        """The layers that resize and crop; none where images come in the right size.

        The crop is that of `CropAndFlip` in evaluation: where a margin is odd, its
        larger part is at the bottom and on the right.
        """
        if self.resize is None:
            return []
        crop = self.resize == "crop"
        resize = layers.Resizing(
            *self.resize_to, crop_to_aspect_ratio=crop, dtype="float32"
        )
        if self.resize_to == self.image_size:
            return [resize]
        extra = [a - b for a, b in zip(self.resize_to, self.image_size, strict=True)]
        margins = [(side // 2, side - side // 2) for side in extra]
        return [resize, layers.Cropping2D(margins, dtype="float32")]


def pixels_to_outputs(network, serving, channels):
    """The classifier that follows the resizing.

    Args:
        network: A model from `(N, H, W, channels)` to logits, in float32.
        serving: A fitted `Serving`.
        channels: Number of channels of its images.

    Returns:
        A `keras.Model` from float32 pixels `(N, *image_size, channels)` to a dict of
        outputs.
    """
    shape = (*serving.image_size, channels)
    pixels = keras.Input(shape, name="pixels", dtype="float32")
    seen = pixels
    if serving.rescale is not None:
        seen = layers.Rescaling(*serving.rescale, dtype="float32")(seen)
    # `call` asks for inference: Keras's default is training where a model resizes.
    logits = sources.call(network, seen)
    cool = layers.Rescaling(1 / serving.temperature, dtype="float32")(logits)
    probabilities = layers.Softmax(dtype="float32", name="softmax")(cool)
    outputs = {"logits": logits, "probabilities": probabilities}
    if serving.top_k:
        values, classes = ops.top_k(probabilities, serving.top_k)
        outputs["top_classes"] = ops.cast(classes, "int32")
        outputs["top_probabilities"] = values
    kept = {name: outputs[name] for name in serving.output_names()}
    return keras.Model(pixels, kept, name="classifier")


def image_to_outputs(classifier, serving):
    """The whole classifier as a `keras.Model`, from `image` to a dict of outputs.

    Args:
        classifier: What `pixels_to_outputs` made.
        serving: The fitted `Serving` that it was made with.
    """
    channels = classifier.inputs[0].shape[-1]
    shape = serving.input_shape(channels)[1:]
    image = keras.Input(shape, name="image", dtype=serving.dtype)
    pixels = ops.cast(image, "float32")
    for layer in serving.resizing():
        pixels = layer(pixels, training=False)
    return keras.Model(image, classifier(pixels, training=False), name="served")
