"""Writes a classifier to a file of each format."""

import json
import tempfile
import warnings
from pathlib import Path

from josrc_keras.export import metadata, precision
from josrc_keras.export.serving import image_to_outputs

ENCODED = "serving_encoded"  # The SavedModel's signature for bytes of images.
# The formats that TensorFlow decodes, by the number of channels.
ENCODED_FORMATS = {1: "JPEG or PNG", 3: "JPEG, PNG, BMP or GIF", 4: "PNG or BMP"}
PNG = b"\x89PNG\r\n\x1a\n"  # The first bytes of a PNG file.


def write(classifier, path, serving, options, found):
    """Writes the artefact.

    Args:
        classifier: What `serving.pixels_to_outputs` made, on the TensorFlow backend;
            for `"keras"` on any backend.
        path: Path of the artefact, in a folder that exists.
        serving: The fitted `serving.Serving`.
        options: Dict of `format`, `precision`, `opset` and `calibration_images`.
        found: The metadata, a dict that JSON can hold.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # tf2onnx causes NumPy's.
        WRITERS[options["format"]](classifier, Path(path), serving, options, found)


def _write_keras(classifier, path, serving, options, found):
    image_to_outputs(classifier, serving).save(path)


def _write_saved_model(classifier, path, serving, options, found):
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder) / metadata.FILE
        asset.write_text(json.dumps(found, indent=2), encoding="utf-8")
        _save(_module(classifier, serving, asset), path)


def _write_onnx(classifier, path, serving, options, found):
    """Writes the network in its precision, behind a float32 part that makes pixels."""
    import onnx
    import tensorflow as tf

    frozen = _frozen(classifier)
    opset, pixels = options["opset"], classifier.inputs[0]
    reads_pixels = serving.dtype == "float32" and serving.resize is None
    model = _to_onnx(
        lambda pixels: _with_names(frozen(pixels), serving),
        tf.TensorSpec(pixels.shape, "float32", "image" if reads_pixels else "pixels"),
        opset,
    )
    if options["precision"] != "float32":
        images = _to_pixels(serving)(tf.constant(options["calibration_images"]))
        model = precision.convert_onnx(model, options["precision"], images.numpy())
    if not reads_pixels:
        shape = serving.input_shape(pixels.shape[-1])
        before = _to_onnx(
            lambda image: {"pixels": _to_pixels(serving)(image)},
            tf.TensorSpec(shape, serving.dtype, "image"),
            opset,
        )
        before = _prefixed(before, "image/")
        before.ir_version = model.ir_version
        model = onnx.compose.merge_models(before, model, [("pixels", "pixels")])
    _name_axes(model)
    for name, value in metadata.as_texts(found).items():
        model.metadata_props.add(key=name, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _to_onnx(function, spec, opset):
    """A TensorFlow function of one tensor as an `onnx.ModelProto`."""
    import tensorflow as tf
    import tf2onnx

    traced = tf.function(function, input_signature=[spec], autograph=False)
    return tf2onnx.convert.from_function(traced, [spec], opset=opset)[0]


def _prefixed(model, prefix):
    """An ONNX model with a prefix on all names except its inputs' and outputs'."""
    import onnx

    return onnx.compose.add_prefix(
        model, prefix, rename_inputs=False, rename_outputs=False
    )


def _write_litert(classifier, path, serving, options, found):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _save(_module(classifier, serving), folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        precision.set_up_litert(converter, options["precision"])
        path.write_bytes(converter.convert())


WRITERS = {
    "saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "litert": _write_litert,
    "keras": _write_keras,
}


def _frozen(classifier):
    """The classifier as a function of a graph that holds its weights once.

    Keras's own export writes every weight twice. In small networks a variable for each
    weight tensor costs more than the weights.
    """
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    pixels = classifier.inputs[0]
    traced = tf.function(
        lambda pixels: classifier(pixels, training=False),
        input_signature=[tf.TensorSpec(pixels.shape, "float32", name="pixels")],
        autograph=False,
    ).get_concrete_function()
    frozen = convert_to_constants.convert_variables_to_constants_v2(traced)
    outputs = traced.structured_outputs
    return lambda pixels: tf.nest.pack_sequence_as(outputs, frozen(pixels))


def _to_pixels(serving):
    """A TensorFlow function from `image` to the pixels that the classifier sees."""
    import tensorflow as tf

    resizing = serving.resizing()

    def to_pixels(image):
        pixels = tf.cast(image, "float32")
        for layer in resizing:
            pixels = layer(pixels, training=False)
        return pixels

    return to_pixels


def _tensor_function(frozen, classifier, serving):
    """A `tf.function` from `image` to outputs."""
    import tensorflow as tf

    to_pixels = _to_pixels(serving)
    shape = serving.input_shape(classifier.inputs[0].shape[-1])

    def serve(image):
        # A loaded signature checks no shapes, and a convolution accepts wrong channels.
        image = tf.ensure_shape(image, shape, name="image_has_right_shape")
        return _with_names(frozen(to_pixels(image)), serving)

    signature = [tf.TensorSpec(shape, serving.dtype, name="image")]
    return tf.function(serve, input_signature=signature, autograph=False)


def _encoded_function(frozen, classifier, serving):
    """A `tf.function` from `(N,)` bytes in `ENCODED_FORMATS` to outputs.

    TensorFlow has no operation that reads the EXIF orientation: the caller must turn
    photos upright.
    """
    import tensorflow as tf

    to_pixels = _to_pixels(serving)
    shape = classifier.inputs[0].shape[1:]

    def decode(encoded):
        image = _decoded(encoded, shape[-1])
        image.set_shape((None, None, shape[-1]))
        return tf.ensure_shape(to_pixels(image[None])[0], shape)

    def serve(image_bytes):
        spec = tf.TensorSpec(shape, "float32")
        pixels = tf.map_fn(decode, image_bytes, fn_output_signature=spec)
        return _with_names(frozen(pixels), serving)

    signature = [tf.TensorSpec((None,), tf.string, name="image_bytes")]
    return tf.function(serve, input_signature=signature, autograph=False)


def _decoded(encoded, channels):
    """An image's pixels, uint8. With three channels a PNG has white behind it."""
    import tensorflow as tf

    def decode(count):
        return tf.io.decode_image(encoded, channels=count, expand_animations=False)

    if channels != 3:
        return decode(channels)
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(PNG)), PNG)
    # JPEG and GIF can't be decoded to four channels.
    return tf.cond(is_png, lambda: _on_white(decode(4)), lambda: decode(3))


def _on_white(image):
    """Blends RGBA with white, rounded as in `data.photos.decoding`, to uint8 RGB."""
    import tensorflow as tf

    image = tf.cast(image, "int32")
    colour, alpha = image[..., :3], image[..., 3:]
    blended = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return tf.cast(blended, "uint8")


def _with_names(outputs, serving):
    """The outputs, with the names of the top classes where they are known."""
    import tensorflow as tf

    if serving.has_names:
        names = tf.constant(serving.class_names)
        outputs = outputs | {"top_names": tf.gather(names, outputs["top_classes"])}
    return outputs


def _module(classifier, serving, asset=None):
    """A `tf.Module` with the signatures and the metadata of a SavedModel."""
    import tensorflow as tf

    frozen = _frozen(classifier)
    module = tf.Module()
    module.signatures_to_save = {
        "serving_default": _tensor_function(frozen, classifier, serving)
    }
    if asset is not None:
        module.metadata = tf.saved_model.Asset(str(asset))
        if classifier.inputs[0].shape[-1] in ENCODED_FORMATS:
            module.signatures_to_save[ENCODED] = _encoded_function(
                frozen, classifier, serving
            )
    return module


def _save(module, path):
    import tensorflow as tf

    options = tf.saved_model.SaveOptions(save_debug_info=False)
    tf.saved_model.save(module, str(path), module.signatures_to_save, options)


def _name_axes(model):
    """Gives the free axes of an ONNX model's inputs and outputs readable names."""
    for value in (*model.graph.input, *model.graph.output):
        axes = value.type.tensor_type.shape.dim
        for axis, name in zip(axes, ("batch", "height", "width"), strict=False):
            if axis.dim_param:
                axis.dim_param = name
