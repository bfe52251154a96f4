"""Makes the photos of benchmarks/review.py, with wrong labels that are known.

    python benchmarks/review_photos.py --output=runs/review

Six classes of CIFAR-100, 150 photos of each as JPEG. Of these 20% are in the folder of
another of the six, and 5% photos of other classes are added. `OUTPUT/photos` has them,
`OUTPUT/truth.csv` the true class of each, and `OUTPUT/held_out` 100 photos of each of
the six from the test set, with right labels.
"""

import csv
from pathlib import Path

import numpy as np
from absl import app, flags

CLASSES = ("rose", "bottle", "bicycle", "tiger", "train", "mushroom")
COUNT, HELD_OUT = 150, 100
SWAPPED, FOREIGN = 0.2, 0.05

_OUTPUT = flags.DEFINE_string("output", None, "A new folder.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Which photos, and which wrong labels.")


def main(_):
    """Writes the photos and the truth."""
    import tensorflow_datasets
    from PIL import Image

    random = np.random.default_rng(_SEED.value)
    output, rows = Path(_OUTPUT.value), []
    train, test, names = load(tensorflow_datasets)

    def save(pixels, *place):
        path = output.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)

    chosen = [names.index(name) for name in CLASSES]
    samples = []
    for label in chosen:
        rows_of = random.permutation(np.flatnonzero(train[1] == label))[:COUNT]
        samples += [(train[0][row], label) for row in rows_of]
    others = np.flatnonzero(~np.isin(train[1], chosen))
    foreign = random.permutation(others)[: round(FOREIGN * len(samples))]
    given = [names[label] for _, label in samples]
    for place in random.permutation(len(samples))[: round(SWAPPED * len(samples))]:
        given[place] = random.choice([n for n in CLASSES if n != given[place]])
    samples += [(train[0][row], train[1][row]) for row in foreign]
    given += list(random.choice(CLASSES, len(foreign)))
    for place in random.permutation(len(samples)):
        pixels, label = samples[place]
        name = f"{given[place]}/{len(rows):04}.jpg"
        save(pixels, "photos", name)
        rows.append({"id": name, "given": given[place], "true": names[label]})
    for label in chosen:
        for row in np.flatnonzero(test[1] == label)[:HELD_OUT]:
            save(test[0][row], "held_out", names[label], f"{row:05}.jpg")
    with open(output / "truth.csv", "w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, ["id", "given", "true"])
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["id"]))
    wrong = sum(row["given"] != row["true"] for row in rows)
    print(f"{len(rows)} photos, of which {wrong} have a wrong label: {output}")


def load(tensorflow_datasets):
    """`((images, labels) of training, the same of the test, names)` of CIFAR-100."""
    data, info = tensorflow_datasets.load("cifar100", batch_size=-1, with_info=True)
    parts = [tensorflow_datasets.as_numpy(data[name]) for name in ("train", "test")]
    return (
        *((part["image"], part["label"]) for part in parts),
        info.features["label"].names,
    )


if __name__ == "__main__":
    app.run(main)
