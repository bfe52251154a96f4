"""Datasets with known label noise, by name."""

from josrc_keras.data import noise, records
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.benchmarks.cifar import cifar8n_o, cifar80n_o, cifar100n_c
from josrc_keras.data.benchmarks.cifar_n import cifar10n, cifar100n
from josrc_keras.data.benchmarks.digits import digits8n_o
from josrc_keras.data.benchmarks.partial import partial
from josrc_keras.data.numbering import numbered
from josrc_keras.data.photos import folder as image_folder

BENCHMARKS = {
    "digits8n_o": digits8n_o,
    "cifar100n_c": cifar100n_c,
    "cifar80n_o": cifar80n_o,
    "cifar8n_o": cifar8n_o,
}
HUMAN = {"cifar10n": cifar10n, "cifar100n": cifar100n}  # People gave their labels.

__all__ = [
    "BENCHMARKS",
    "HUMAN",
    "Benchmark",
    "Split",
    "cifar8n_o",
    "cifar10n",
    "cifar80n_o",
    "cifar100n",
    "cifar100n_c",
    "digits8n_o",
    "image_folder",
    "noise",
    "numbered",
    "partial",
    "records",
]
