"""Recall and precision of near-duplicates that are planted among real photos.

    python benchmarks/near_duplicates.py --photos=PHOTOS --backbone=efficientnet_lite0 \
        --workdir=runs/near_duplicates --output=results/near_duplicates.json

PHOTOS has a folder for each class. A fifth of the photos gets a copy each, of four
kinds in turn: saved anew at JPEG quality 40, at half the size, mirrored, and cropped by
5% on each side, the last three at quality 90. Features of the photos are computed once
and kept in the work folder. Precision counts pairs of photos in one set, and takes for
wrong whatever was not planted: pairs among the photos may be real near-duplicates. They
are counted by set, too, in the order of the sets' first photos.
"""

import argparse
import json
import pathlib
import tempfile
import time

import imagehash
import numpy as np
from PIL import Image, ImageOps

from josrc_keras.data.photos import decoding
from josrc_keras.probe import backbone, duplicates, views
from josrc_keras.runs import summary

SHARE = 0.2
# What is asked beside the rule: hashes alone, as cleanvision does, and features alone.
RULES = {
    "both, as the package does": {},
    "equal hashes": {"close": 0, "similar": -1, "far": 0, "alike": -1},
    "hashes within 8 bits": {"close": 8, "similar": -1, "far": 8, "alike": -1},
    "features, cosine 0.95": {"close": 0, "similar": 0.95, "far": 64, "alike": 0.95},
    "features, cosine 0.90": {"close": 0, "similar": 0.9, "far": 64, "alike": 0.9},
}


def cropped(image):
    """The photo without 5% of it on each side."""
    left, upper = round(0.05 * image.width), round(0.05 * image.height)
    return image.crop((left, upper, image.width - left, image.height - upper))


def halved(image):
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


KINDS = {
    "JPEG quality 40": (lambda image: image, 40),
    "half size": (halved, 90),
    "mirrored": (ImageOps.mirror, 90),
    "cropped by 5%": (cropped, 90),
}


def signs(paths, extract, size):
    """Hashes `(n, 2)` and features `(n, V, F)` float16 of photos."""
    hashes, features = [], []
    for path in paths:
        seen = views.of_photo(path, size)
        hashes.append(seen.hashes)
        features.append(extract(seen.pixels).astype("float16"))
    return np.array(hashes, np.uint64), np.stack(features)


def signs_of_photos(paths, extract, size, cache):
    """Those of the photos themselves, from the cache if it is of these photos."""
    names = [str(path) for path in paths]
    if cache.exists():
        with np.load(cache) as kept:
            if kept["names"].tolist() == names:
                return kept["hashes"], kept["features"]
    hashes, features = signs(paths, extract, size)
    np.savez(cache, names=names, hashes=hashes, features=features)
    return hashes, features


def planted(paths, chosen, folder):
    """Writes a copy of each chosen photo, of the kinds in turn."""
    copies = []
    for place, row in enumerate(chosen):
        change, quality = list(KINDS.values())[place % len(KINDS)]
        copies.append(folder / f"{place}.jpg")
        with Image.open(paths[row]) as image:
            change(image.convert("RGB")).save(copies[-1], quality=quality)
    return copies


def measured(sets, chosen, count):
    """Recall by kind, and precision, of sets of `count` photos and their copies."""
    original, copy = sets[chosen], sets[count:]
    found = (original == copy) & (copy >= 0)
    sizes = np.bincount(sets[sets >= 0], minlength=1)
    pairs = sizes * (sizes - 1) // 2
    others = pairs - np.bincount(copy[found], minlength=len(pairs))
    kinds = np.arange(len(chosen)) % len(KINDS)
    return {
        "recall": {kind: found[kinds == k].mean() for k, kind in enumerate(KINDS)},
        "precision": int(found.sum()) / max(int(pairs.sum()), 1),
        "planted_pairs": int(found.sum()),
        "other_pairs": int(others.sum()),
        "other_pairs_by_set": others[others > 0].tolist()[:20],
    }


def run(paths, known, extract, size, seed):
    """The numbers of each rule for one choice of photos."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(paths))[: round(SHARE * len(paths))]
    with tempfile.TemporaryDirectory() as folder:
        copies = planted(paths, chosen, pathlib.Path(folder))
        new = signs(copies, extract, size)
    hashes, features = (np.concatenate(pair) for pair in zip(known, new, strict=True))
    found = {"seed": seed}
    for name, rule in RULES.items():
        start = time.perf_counter()
        sets = duplicates.near_duplicates(
            hashes[:, [0, 0]] if "hashes" in name else hashes, features, **rule
        )
        seconds = time.perf_counter() - start
        found[name] = measured(sets, chosen, len(paths)) | {"seconds": seconds}
        print(seed, name, json.dumps(found[name]), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", required=True, help="a folder a class")
    parser.add_argument("--backbone", default=backbone.DEFAULT)
    parser.add_argument("--workdir", default="runs/near_duplicates")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", help="JSON file of the record")
    arguments = parser.parse_args()
    decoding.require()
    workdir = pathlib.Path(arguments.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    paths = sorted(pathlib.Path(arguments.photos).glob("*/*.jpg"))
    extract, size = backbone.extractor(arguments.backbone, workdir)
    known = signs_of_photos(paths, extract, size, workdir / "signs.npz")
    record = {
        "photos": len(paths),
        "copies": round(SHARE * len(paths)),
        "backbone": pathlib.Path(arguments.backbone).stem,
        "versions": summary.versions() | {"imagehash": imagehash.__version__},
        "runs": [
            run(paths, known, extract, size, seed) for seed in range(arguments.seeds)
        ],
    }
    if arguments.output:
        text = json.dumps(record, indent=2) + "\n"
        pathlib.Path(arguments.output).write_text(text)


if __name__ == "__main__":
    main()
