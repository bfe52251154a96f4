"""Classifiers from images to logits, and the backbones that they are made of."""

from josrc_keras.networks.checks import check_network, input_shape
from josrc_keras.networks.classifiers import (
    HEADS,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    cnn7,
    digits_cnn,
)
from josrc_keras.networks.registry import NETWORKS, WITHOUT_WEIGHTS, by_name
from josrc_keras.networks.resnet9 import fast, whiten
from josrc_keras.networks.resnets import of_backbone, resnet18, resnet50

__all__ = [
    "HEADS",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "NETWORKS",
    "WITHOUT_WEIGHTS",
    "by_name",
    "check_network",
    "cnn7",
    "digits_cnn",
    "fast",
    "input_shape",
    "of_backbone",
    "resnet18",
    "resnet50",
    "whiten",
]
