"""Evaluates the student and the teacher of a finished run on its test images.

josrc-evaluate --run=runs/digits
"""

import json
from pathlib import Path

from absl import flags

from josrc_keras.commands import shell

_RUN = flags.DEFINE_string("run", None, "The run folder that was trained.")
flags.DEFINE_alias("workdir", "run")
shell.require("run")
BATCH = 500  # Images that are evaluated at a time.


def _evaluate():
    shell.begin()
    import keras
    import ml_collections

    from josrc_keras import _files
    from josrc_keras.data import batches
    from josrc_keras.runs import build_data, folder, progress

    workdir = Path(str(_RUN.value))
    config = ml_collections.ConfigDict(folder.read_config(workdir))
    path = workdir / "model.keras"
    if not path.exists():
        raise FileNotFoundError(
            f"Expected a finished run. Received: {workdir}, which has no model.keras. "
            "Run josrc-train with the same --workdir until it ends."
        )
    model = keras.saving.load_model(path)
    test = build_data.make_benchmark(config, workdir).test
    results = model.evaluate(
        batches.evaluation_batches(test, batch_size=BATCH),
        return_dict=True,
        verbose=0,
        callbacks=[progress.Evaluation(-(-len(test) // BATCH))],
    )
    results = {name: float(value) for name, value in results.items()}
    results["test_images"] = len(test)
    _files.write_json(workdir / "evaluation.json", results)
    shell.say(json.dumps(results, indent=2))


def main():
    """Entry point of `josrc-evaluate`."""
    shell.run(_evaluate)


if __name__ == "__main__":
    main()
