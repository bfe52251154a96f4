"""Methods to compare Jo-SRC with, under the same interface."""

from josrc_keras.baselines.coteaching import CoTeaching
from josrc_keras.baselines.coteaching_plus import CoTeachingPlus
from josrc_keras.baselines.decoupling import Decoupling
from josrc_keras.baselines.dividemix import DivideMix
from josrc_keras.baselines.f_correction import FCorrection
from josrc_keras.baselines.jocor import JoCoR
from josrc_keras.baselines.joint_optim import JointOptim
from josrc_keras.baselines.m_correction import MCorrection
from josrc_keras.baselines.pencil import Pencil
from josrc_keras.baselines.standard import Standard

__all__ = [
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "DivideMix",
    "FCorrection",
    "JoCoR",
    "JointOptim",
    "MCorrection",
    "Pencil",
    "Standard",
]
