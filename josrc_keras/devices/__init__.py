"""What training runs on: replicas of one model, strategies, accelerators."""

from josrc_keras.devices.strategies import STRATEGIES, read_tf_config, scope

__all__ = ["STRATEGIES", "read_tf_config", "scope"]
