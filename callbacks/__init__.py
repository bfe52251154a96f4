"""Callbacks: they change a model's variables, record, and save during training."""

from josrc_keras._layout import require_name

require_name(__name__, "josrc_keras.callbacks")

from josrc_keras.callbacks.clean_threshold import CleanThreshold
from josrc_keras.callbacks.correct_labels import CorrectLabels
from josrc_keras.callbacks.cosine_decay import CosineDecay
from josrc_keras.callbacks.divide import Divide
from josrc_keras.callbacks.estimate_transition import EstimateTransition
from josrc_keras.callbacks.forget_rate import ForgetRate
from josrc_keras.callbacks.held_out import HeldOut
from josrc_keras.callbacks.label_trust import LabelTrust
from josrc_keras.callbacks.linear_decay import LinearDecay
from josrc_keras.callbacks.loss_mixture import LossMixture
from josrc_keras.callbacks.mean_teacher import MeanTeacher
from josrc_keras.callbacks.pencil_stages import PencilStages
from josrc_keras.callbacks.run_checkpoint import RunCheckpoint
from josrc_keras.callbacks.second_stage import SecondStage
from josrc_keras.callbacks.selection_monitor import SelectionMonitor
from josrc_keras.callbacks.update_labels import UpdateLabels
from josrc_keras.callbacks.verdict_history import VerdictHistory
from josrc_keras.callbacks.verify_labels import VerifyLabels
from josrc_keras.training.finite_loss import FiniteLoss

__all__ = [
    "CleanThreshold",
    "CorrectLabels",
    "CosineDecay",
    "Divide",
    "EstimateTransition",
    "FiniteLoss",
    "ForgetRate",
    "HeldOut",
    "LabelTrust",
    "LinearDecay",
    "LossMixture",
    "MeanTeacher",
    "PencilStages",
    "RunCheckpoint",
    "SecondStage",
    "SelectionMonitor",
    "UpdateLabels",
    "VerdictHistory",
    "VerifyLabels",
]
