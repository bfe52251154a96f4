"""The whole way on real images: train, compare, look at the verdicts, export, verify.

josrc-demo --workdir=runs/demo

Trains ordinary cross-entropy and the adaptive method on scikit-learn's digits, and
exports the latter's classifier. Half the labels are wrong, and two classes are
out-of-distribution.
"""

import time
from pathlib import Path

from absl import flags

from josrc_keras.commands import shell

_WORKDIR = flags.DEFINE_string("workdir", "runs/demo", "Folder of the demo's runs.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "How many seeds to train.", lower_bound=1)
_PROGRESS = flags.DEFINE_bool(
    "progress", True, "Say how far a training is, and how long it still takes."
)

METHODS = {"standard": "Ordinary training", "josrc": "Adaptive"}
CONFIGURED = {"standard": "standard", "josrc": "josrc_adaptive"}


def _demo():
    start = time.monotonic()
    shell.begin()
    workdir = Path(_WORKDIR.value)
    summaries: dict = {method: [] for method in METHODS}
    for seed in range(_SEEDS.value):
        for method, name in METHODS.items():
            shell.say(f"Training: {name}, seed {seed}, 40 epochs ...")
            summaries[method].append(_train(workdir, method, seed))
    shell.say(_table(summaries))
    run = workdir / "josrc-0"
    for line in _audit(run):
        shell.say(line)
    for line in _export(run):
        shell.say(line)
    shell.say(f"\nPlots: {run / 'plots'}/*.png; numbers: {run / 'summary.json'}")
    shell.say(f"Look at the labels that it doubts: {run}/audit/report.html")
    shell.say(f"Took {time.monotonic() - start:.0f} s.")


def _train(workdir, method, seed):
    from josrc_keras.configs import digits8n_o
    from josrc_keras.runs import train

    config = digits8n_o.get_config()
    config.method = CONFIGURED[method]
    config.seed = seed
    verbose = "whole" if _PROGRESS.value else 0
    return train.train(config, workdir / f"{method}-{seed}", verbose=verbose)


def _table(summaries):
    """Both methods' accuracies side by side."""
    lines = [
        "",
        "Test accuracy on digits 0 to 7, mean of the last 10 epochs. Training labels: "
        "half of those",
        "of 0 to 7 wrong, and every 8 and 9 labelled as one of them.",
        "(The best epoch is picked on the test images, so it is optimistic.)",
        "",
        f"{'seed':>4}  {METHODS['standard']:>17}  {'its best epoch':>14}  "
        f"{METHODS['josrc']:>8}  {'its teacher':>11}",
    ]
    for standard, josrc in zip(summaries["standard"], summaries["josrc"], strict=True):
        lines.append(
            f"{josrc['seed']:>4}  {standard['student']['last10_mean']:>17.1%}  "
            f"{standard['student']['best']:>14.1%}  "
            f"{josrc['student']['last10_mean']:>8.1%}  "
            f"{josrc['teacher']['last10_mean']:>11.1%}"
        )
    return "\n".join(lines)


def _audit(run):
    """Audits a run's training labels; yields lines about it."""
    from josrc_keras.cleaning import audit_of_run

    yield _verdicts(audit_of_run.write(run, run / "audit")["quality"])


def _verdicts(quality):
    """Precision and recall of the three verdicts, and the estimated noise rate."""
    names = {
        "clean": "label is right",
        "in_distribution_noise": "label is wrong",
        "out_of_distribution": "out-of-distribution",
    }
    lines = ["", f"{'The audit says':<21}{'precision':>10}{'recall':>8}{'share':>8}"]
    for kind, name in names.items():
        scores = quality["verdicts"][kind]
        lines.append(
            f"{name:<21}{scores['precision'] or 0:>10.2f}"
            f"{scores['recall'] or 0:>8.2f}{scores['share']:>8.2f}"
        )
    lines.append(
        f"Wrong labels in all: {quality['noise_rate_estimated']:.1%} by its estimate, "
        f"{quality['noise_rate']:.1%} in truth."
    )
    return "\n".join(lines) + "\n"


def _export(run):
    """Exports the better network of a run to two formats; yields lines about it."""
    from josrc_keras.export import run_exports

    prepared, about = run_exports.prepare_run(run, serving={}, calibrate=True)
    yield run_exports.choice(prepared.findings)
    for format_name, name in (("saved_model", "saved_model"), ("onnx", "model.onnx")):
        options = {"format": format_name, "precision": "float32", "opset": 18}
        report = run_exports.export_one(prepared, about, run / "export" / name, options)
        yield run_exports.line(report)
    yield f"Model card: {run_exports.write_card(run, prepared, about)}"


def main():
    """Entry point of `josrc-demo`."""
    shell.run(_demo)


if __name__ == "__main__":
    main()
