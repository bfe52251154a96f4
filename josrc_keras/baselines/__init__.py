"""Methods to compare Jo-SRC with, under the same interface."""

from josrc_keras.baselines.cleannet import CleanNet
from josrc_keras.baselines.coteaching import CoTeaching
from josrc_keras.baselines.coteaching_plus import CoTeachingPlus
from josrc_keras.baselines.decoupling import Decoupling
from josrc_keras.baselines.deepself import DeepSelf
from josrc_keras.baselines.dividemix import DivideMix
from josrc_keras.baselines.f_correction import FCorrection
from josrc_keras.baselines.jocor import JoCoR
from josrc_keras.baselines.joint_optim import JointOptim
from josrc_keras.baselines.m_correction import MCorrection
from josrc_keras.baselines.meta_cleaner import MetaCleaner
from josrc_keras.baselines.mlnt import MLNT
from josrc_keras.baselines.pencil import Pencil
from josrc_keras.baselines.standard import Standard

__all__ = [
    "MLNT",
    "CleanNet",
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "DeepSelf",
    "DivideMix",
    "FCorrection",
    "JoCoR",
    "JointOptim",
    "MCorrection",
    "MetaCleaner",
    "Pencil",
    "Standard",
]
