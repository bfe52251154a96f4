r"""Trains by a configuration into a run folder. The same command resumes the run.

josrc-train --config=digits8n_o --workdir=runs/digits
josrc-train --config=cifar80n_o --workdir=runs/short \
    --config.epochs=3 --config.data.train_size=8000
josrc-train --config=cifar80n_o --workdir=runs/gpus --strategy=mirrored
"""

import shlex
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags

from josrc_keras.commands import shell

_CONFIG = shell.define_config_flag()
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.")
_STRATEGY, _LOGICAL_DEVICES = shell.define_strategy_flags()
LAST = 10  # Epochs that `summary.json` averages over.
_VERBOSE = flags.DEFINE_enum(
    "progress",
    "whole",
    ["whole", "bar", "line", "none"],
    "The whole run with the time that is left, a bar for each epoch, a line for each, "
    "or nothing.",
)
shell.require("config", "workdir")


def _train():
    shell.begin()
    from josrc_keras.devices import strategies
    from josrc_keras.runs import configuration, train

    given = config_flags.get_override_values(flags.FLAGS["config"])
    configuration.check_effective(_CONFIG.value, list(given))
    kinds: dict[str, int | str] = {"none": 0, "bar": 1, "line": 2, "whole": "whole"}
    verbose = kinds[_VERBOSE.value]
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
    for line in said(summary, workdir):
        shell.say(line)


def said(summary, workdir):
    """What came out of a run and what to do next, in five lines.

    Args:
        summary: The run's summary, as in `summary.json`.
        workdir: The run folder.
    """
    from josrc_keras.runs.methods import METHODS

    found = [
        f"{network} {summary[network]['last10_mean']:.1%}"
        for network in ("student", "teacher")
        if summary[network] is not None
    ]
    epochs = min(summary["epochs"], LAST)
    last = "the last epoch" if epochs == 1 else f"the last {epochs} epochs"
    verdicts = summary["verdicts_last_epoch"]
    judged = "This method says nothing about single labels."
    if {"clean_fraction", "id_fraction", "ood_fraction"} <= set(verdicts):
        judged = (
            f"Of the training labels it trusts {verdicts['clean_fraction']:.1%} and "
            f"doubts {verdicts['id_fraction'] + verdicts['ood_fraction']:.1%}."
        )
    elif "clean_fraction" in verdicts:
        judged = f"It trusts {verdicts['clean_fraction']:.1%} of the training labels."
    place = shlex.quote(str(workdir))
    following = f"josrc-export --run={place} writes a file to deploy."
    if METHODS[summary["method"]].sorts:
        following = f"josrc-audit --run={place} lists the wrong labels, {following}"
    return [
        f"Trained {summary['method']}: {summary['epochs']} epochs of "
        f"{summary['train_images']} images in {summary['wall_seconds']:.0f} s.",
        f"Accuracy on {summary['test_images']} test images, labels "
        f"{summary['test_labels']}, mean of {last}: {', '.join(found)}.",
        judged,
        f"All numbers: {Path(workdir) / 'summary.json'}",
        f"Next: {following}",
    ]


def main():
    """Entry point of `josrc-train`."""
    shell.run(_train)


if __name__ == "__main__":
    main()
