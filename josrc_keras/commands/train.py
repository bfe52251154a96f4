r"""Trains by a configuration into a run folder. The same command resumes the run.

josrc-train --config=digits8n_o --workdir=runs/digits
josrc-train --config=cifar80n_o --workdir=runs/short \
    --config.epochs=3 --config.data.train_size=8000
josrc-train --config=cifar80n_o --workdir=runs/gpus --strategy=mirrored
"""

import json

from absl import flags, logging
from ml_collections import config_flags

from josrc_keras.commands import shell

_CONFIG = shell.define_config_flag()
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.")
_STRATEGY, _LOGICAL_DEVICES = shell.define_strategy_flags()
_VERBOSE = flags.DEFINE_enum(
    "progress", "bar", ["bar", "line", "none"], "A bar, a line an epoch, or nothing."
)
shell.require("config", "workdir")


def _train():
    shell.begin()
    from josrc_keras.devices import strategies
    from josrc_keras.runs import configuration, train

    given = config_flags.get_override_values(flags.FLAGS["config"])
    configuration.check_effective(_CONFIG.value, list(given))
    verbose = {"none": 0, "bar": 1, "line": 2}[_VERBOSE.value]
    workdir = str(_WORKDIR.value)
    try:
        with strategies.scope(_STRATEGY.value, _LOGICAL_DEVICES.value):
            summary = train.train(_CONFIG.value, workdir, verbose=verbose)
    except (KeyboardInterrupt, SystemExit) as stop:
        logging.warning(
            "Stopped. Whole epochs are saved in %s; the same command resumes.",
            _WORKDIR.value,
        )
        shell.exit_at_once(stop.code if isinstance(stop, SystemExit) else 130)
    shell.say(json.dumps(summary, indent=2))


def main():
    """Entry point of `josrc-train`."""
    shell.run(_train)


if __name__ == "__main__":
    main()
