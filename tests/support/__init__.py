"""What tests share: oracles, models, data, runs and command lines."""
