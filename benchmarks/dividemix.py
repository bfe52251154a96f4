"""DivideMix beside a version in plain PyTorch, on a row of the robustness suite.

    josrc-reproduce --suite=robustness --half=report --cell=cifar10/symmetric-0.5 \
        --method=dividemix --seeds=3 --workdir=runs/suite
    python benchmarks/dividemix.py --python=PYTHON --seeds=0,1,2 \
        --records=runs/suite/results/robustness --output=results/dividemix.json

The row has ten classes of CIFAR-100 and symmetric errors of 50%. PYTHON is an
interpreter that has torch and scikit-learn. Both sides have the same images, labels,
network, optimizer, learning rate, views and number of epochs, and the values of
`configs/_compared.py`. What differs is what `DivideMix` says of itself: the published
form trains the networks in turns, on batches of as many labelled as unlabelled images.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

import numpy as np

from josrc_keras.reproduction import robustness
from josrc_keras.runs import build_data, summary

WORKER = pathlib.Path(__file__).with_name("torch_dividemix.py")
LAST = 10


def settings_of(config, classes):
    """What the worker is told."""
    decay = config.learning_rate_decay
    return {
        "batch_size": config.batch_size,
        "beta_1": decay.beta_1,
        "classes": classes,
        "decay_start": decay.start_epoch,
        "epochs": config.epochs,
        "learning_rate": config.optimizer.arguments.learning_rate,
        "seed": config.seed,
        "width": config.network.width,
        **{
            name: config.dividemix[name]
            for name in (
                "ramp_epochs",
                "temperature",
                "threshold",
                "unlabelled_weight",
                "warmup_epochs",
            )
        },
    }


def by_torch(python, config, folder):
    """The worker's accuracies by epoch, and its version of torch."""
    benchmark = build_data.make_benchmark(config, folder)
    train, test = benchmark.train, benchmark.test
    paths = [str(folder / name) for name in ("data.npz", "settings.json", "found.json")]
    np.savez(
        paths[0],
        images=train.images,
        labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
    )
    settings = settings_of(config, len(benchmark.class_names))
    pathlib.Path(paths[1]).write_text(json.dumps(settings))
    subprocess.run([python, str(WORKER), *paths], check=True)
    return json.loads(pathlib.Path(paths[2]).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--cell", default="cifar10/symmetric-0.5")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--records", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    rows, torch = [], None
    for seed in map(int, args.seeds.split(",")):
        (run,) = robustness.runs_of(
            half="report", cells=[args.cell], methods=["dividemix"], seeds=[seed]
        )
        with tempfile.TemporaryDirectory() as folder:
            found = by_torch(args.python, run.config(), pathlib.Path(folder))
        torch = found["torch"]
        row = {
            "seed": seed,
            "torch": 100 * statistics.fmean(found["accuracies"][-LAST:]),
        }
        path = args.records / f"{run.name}.json"
        if path.exists():
            ours = json.loads(path.read_text())["history"]["val_accuracy"]
            row["josrc_keras"] = 100 * statistics.fmean(ours[-LAST:])
        rows.append(row)
        print(json.dumps(row), flush=True)
    if args.output:
        record = {
            "command": summary.command(),
            "device": summary.device(),
            "versions": summary.versions() | {"torch": torch},
            "cell": args.cell,
            "measure": f"test accuracy in percent, mean of the last {LAST} epochs",
            "rows": rows,
        }
        args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
