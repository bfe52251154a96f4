"""JoSRC on the JAX backend: the same step, training, no TensorFlow needed."""

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.support.backends import run

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


def test_a_step_equals_tensorflows(tmp_path):
    """Equal weights and batch: losses, verdicts, gradients and teacher to 1e-5.

    Jo-SRC in the warm-up and in the joint phase, with samples of all three kinds; when
    it trusts labels by their history; then the compared methods. Gradients and teacher
    relative to the largest value of their array.
    """
    results = {}
    for backend in ("tensorflow", "jax"):
        path = tmp_path / f"{backend}.npz"
        run(backend, "tests/support/backend_step.py", str(path))
        results[backend] = dict(np.load(path))
    ours, theirs = results["jax"], results["tensorflow"]
    assert ours.keys() == theirs.keys()
    for kind in ("clean", "id", "ood"):
        assert 0 < theirs[f"1.0/logs/{kind}_fraction"] < 1
    for name, value in theirs.items():
        if value.dtype == bool:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        else:
            scale = max(1.0, np.abs(value).max())
            # Features are kept in half precision, which may round the other way.
            exact = 1e-3 if name.endswith("/features") else 1e-5
            np.testing.assert_allclose(
                ours[name], value, rtol=exact, atol=1e-5 * scale, err_msg=name
            )
    for kind in ("clean", "in_distribution", "out_of_distribution"):
        assert 0 < theirs[f"1.0/samples/{kind}"].sum() < 32
    assert theirs["own/loss"] > 2.0  # Cross-entropy of four classes is about 1.4.
    steps = ("0.0", "1.0", "Standard", "Decoupling", "CoTeaching", "CoTeachingPlus")
    steps += (
        "CleanNet",
        "Detector",
        "FCorrection",
        "JointOptim",
        "MCorrection",
        "Pencil",
    )
    steps += ("JoCoR", "trust", "DivideMix", "MLNT", "MetaCleaner", "DeepSelf")
    for step in steps:
        gradients = [v for k, v in theirs.items() if k.startswith(f"{step}/gradients/")]
        assert max(np.abs(gradient).max() for gradient in gradients) > 0.1
    assert 0 < theirs["CoTeachingPlus/logs/disagreement"] < 1
    assert 0 < theirs["JoCoR/logs/clean_fraction"] < 1


TRAINING = """
import sys
import keras
import numpy as np
from josrc_keras import JoSRC, networks, views
from josrc_keras.callbacks import (
    CleanThreshold, LinearDecay, MeanTeacher, RunCheckpoint, SelectionMonitor
)

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
truth = random.integers(0, 4, 512)
images = np.zeros((512, 8, 8, 1), "uint8")
images[np.arange(512), 2 * truth] = 200  # A class is a row that is lit.
images += random.integers(0, 55, images.shape).astype("uint8")
given = np.where(random.random(512) < 0.6, truth, random.integers(0, 4, 512))


def make_model():
    network = networks.digits_cnn(4)
    augmentation = views.crop_and_flip(0)
    model = JoSRC(network, 4, smoothing=0.2, alpha=0.1, augmentation=augmentation)
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    return model


model, checkpoint = make_model(), RunCheckpoint(sys.argv[1])
history = model.fit(
    images, {"label": given, "true_label": truth}, batch_size=32, epochs=6, verbose=0,
    validation_data=(images, truth),
    callbacks=[
        CleanThreshold(0.7, 0.8, 4), MeanTeacher(), SelectionMonitor(),
        LinearDecay(3, 1e-3, beta_1=0.5), checkpoint,
    ],
).history
other = make_model()
assert RunCheckpoint(sys.argv[1]).restore(other) == 6
for first, second in zip(model.get_weights(), other.get_weights(), strict=True):
    np.testing.assert_array_equal(first, second)
print(history["val_accuracy"][-1], history["clean_auroc"][-1])
"""


@pytest.mark.slow
def test_trains_on_jax(tmp_path):
    """Arrays, views on the device, callbacks, checkpoint; 30% of the labels wrong."""
    output = run("jax", "-c", TRAINING, str(tmp_path / "checkpoint"))
    accuracy, auroc = map(float, output.split()[-2:])
    assert accuracy > 0.95
    assert auroc > 0.9


def imports_of(path, *, in_functions):
    """Modules that a file imports when it is imported itself, or at some time."""
    nodes: list = [ast.parse(path.read_text(encoding="utf-8"))]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif in_functions or not isinstance(node, ast.FunctionDef):
            nodes.extend(ast.iter_child_nodes(node))


def importers_of(module, *, in_functions):
    """Files of the package that import a module or something of it."""
    files = [*ROOT.glob("josrc_keras/**/*.py"), *ROOT.glob("callbacks/*.py")]
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        for name in imports_of(path, in_functions=in_functions)
        if name == module or name.startswith(f"{module}.")
    }


def test_tensorflow_is_imported_where_it_is_needed():
    """On import by `in_memory` and `streamed`, and JAX by `on_device`.

    `data.batches` imports one of the three, and only when it is asked for batches; so
    are strong views, which are drawn in tf.data.
    """
    on_import = {
        "tensorflow": {
            "josrc_keras/data/batches/in_memory.py",
            "josrc_keras/data/batches/streamed.py",
            "josrc_keras/views/strong.py",
        },
        "jax": {"josrc_keras/data/batches/on_device.py"},
        "tensorflow_datasets": {
            "josrc_keras/data/benchmarks/clothing1m.py",
            "josrc_keras/data/benchmarks/food101n.py",
        },
        "josrc_keras.data.batches.in_memory": {"josrc_keras/data/batches/streamed.py"},
        "josrc_keras.data.batches.streamed": set(),
        "josrc_keras.data.batches.on_device": set(),
    }
    for module, files in on_import.items():
        assert importers_of(module, in_functions=False) == files, module
    others = {"in_memory": ("streamed",), "streamed": ("records/dataset",)}
    for name in ("in_memory", "streamed", "on_device"):
        files = importers_of(f"josrc_keras.data.batches.{name}", in_functions=True)
        expected = {"josrc_keras/data/batches/choose.py"}
        for other in others.get(name, ()):
            folder = "" if "/" in other else "batches/"
            expected.add(f"josrc_keras/data/{folder}{other}.py")
        assert files == expected
    files = importers_of("tensorflow_datasets", in_functions=True)
    names = ("cifar_files", "cifar_n", "clothing1m", "encoded", "food101n")
    assert files == {f"josrc_keras/data/benchmarks/{name}.py" for name in names}
