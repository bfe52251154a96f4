"""Smaller and faster artefacts: half precision and eight bits."""

import contextlib
import logging
import tempfile
from pathlib import Path

PRECISIONS = {
    "onnx": ("float32", "float16", "int8"),
    "litert": ("float32", "float16", "int8"),
    "saved_model": ("float32",),
    "keras": ("float32",),
}

PRODUCTS = ("Conv", "Gemm", "MatMul")


def check_precision(format, precision):
    """Raises a `ValueError` unless the format can be written in this precision."""
    if precision not in PRECISIONS[format]:
        raise ValueError(
            f"Expected precision for {format} as one of {PRECISIONS[format]}. "
            f"Received: {precision!r}."
        )


def convert_onnx(model, precision, pixels):
    """Converts an ONNX network to a lower precision. Input and outputs stay float32.

    float16 stores weights and computes in half precision. int8 is static
    quantisation: weights (with a scale for each channel) and activations (with ranges
    from the calibration images) have eight bits.

    Args:
        model: An `onnx.ModelProto` in float32 with one input.
        precision: `"float16"` or `"int8"`.
        pixels: `(N, H, W, channels)` real images, float32, to calibrate on.

    Returns:
        An `onnx.ModelProto`.
    """
    if precision == "int8":
        return _quantised(model, pixels)
    from onnxruntime.transformers import float16, onnx_model

    model = float16.convert_float_to_float16(model, keep_io_types=True)
    onnx_model.OnnxModel.graph_topological_sort(model.graph)
    return model


def _quantised(model, images):
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            name = model.graph.input[0].name
            self.batches = iter([{name: image[None]} for image in images])

        def get_next(self):
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        given, before, after = (Path(folder) / f"{n}.onnx" for n in range(3))
        onnx.save(model, given)
        # This folds batch normalisation into the convolutions before they get scales.
        shape_inference.quant_pre_process(given, before, skip_symbolic_shape=True)
        quantization.quantize_static(
            before,
            after,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # Weights get seven bits: with eight, CPUs without VNNI saturate.
            reduce_range=True,
            nodes_to_exclude=_after_logits(onnx.load(before).graph),
        )
        return onnx.load(after)


def _after_logits(graph):
    """Names of the nodes after the last product, such as softmax and ranking."""
    products = [n for n, node in enumerate(graph.node) if node.op_type in PRODUCTS]
    return [node.name for node in list(graph.node)[max(products, default=-1) + 1 :]]


@contextlib.contextmanager
def _quiet():
    """Silences the quantiser's advice, which `_quantised` already follows."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(before)


def set_up_litert(converter, precision):
    """Sets a `tf.lite.TFLiteConverter` to write in a precision.

    float16 stores the weights in half precision. int8 is dynamic-range quantisation:
    weights have eight bits, activations stay float32.
    """
    import tensorflow as tf

    if precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
