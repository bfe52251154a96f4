"""Times the training input from records beside TensorFlow's JPEG decoder alone.

    python benchmarks/input_224.py --output=results/scale/input_224.json

The table has images a second, in rounds of alternating order, and CPU seconds an image.

- `decoder` is `tf.io.decode_and_crop_jpeg` of 224 x 224 pixels in a parallel map over
  the stored JPEGs, which are in memory, and nothing else.
- `decoder, accurate` is the same with `dct_method="INTEGER_ACCURATE"`, as the training
  input decodes.
- `training input` is `data.batches.train_batches` of the same images from TFRecord
  files: read, parsed, shuffled, decoded to 256 x 256 and batched, for a model that
  crops on the device.
- `with two views` adds two random crops to 224 x 224 and flips of each image, in
  tf.data.
- `without decoding` is reading, parsing and shuffling alone, most of it serial.
- `strong views` adds two views with RandAugment (`config.strong_views`).

The images are synthetic: noise whose spectrum falls as a photograph's does, with
ellipses of other colours on it, 256 x 256 pixels, as JPEG of quality 95.
"""

import argparse
import functools
import importlib.util
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

from josrc_keras import data, views
from josrc_keras.data import batches, records
from josrc_keras.data.batches import streamed
from josrc_keras.runs import summary
from josrc_keras.views import strong as strong_views

SIZE, CROP, CLASSES = 256, 224, 14
DIFFERENT = 256  # Different images. Further images repeat them.


@functools.cache
def photo(seed):
    """A synthetic photo, `(SIZE, SIZE, 3)` uint8."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    frequency[0, 0] = 1

    def noise(slope):
        white = np.fft.rfft2(random.standard_normal((SIZE, SIZE)))
        found = np.fft.irfft2(white / frequency**slope, (SIZE, SIZE))
        return found / found.std()

    shared = noise(1.5)
    image = np.stack([shared + 0.4 * noise(1.8) for _ in range(3)], -1) * 45
    image += random.uniform(60, 190, 3)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for _ in range(6):
        middle, radius = random.uniform(0, SIZE, 2), random.uniform(15, 90, 2)
        inside = ((rows - middle[0]) / radius[0]) ** 2
        inside = inside + ((columns - middle[1]) / radius[1]) ** 2 < 1
        image[inside] = 0.5 * image[inside] + 0.5 * random.uniform(0, 255, 3)
    return image.clip(0, 255).astype("uint8")


class Photos:
    """A sequence of synthetic photos."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        return photo(row % DIFFERENT)


def stored(folder, count):
    """The training split of a set of records."""
    labels = np.arange(count) % CLASSES
    split = data.Split(Photos(count), labels, labels, np.arange(count))
    test = data.Split(Photos(1), labels[:1], labels[:1], np.arange(1))
    names = tuple(map(str, range(CLASSES)))
    benchmark = data.Benchmark(split, test, names, "")
    records.write(benchmark, folder, images_per_file=256, encoding="jpeg")
    return records.read(folder).train


def decoder(contents, batch, **options):
    """The decoder alone, which hands over one image in place of each batch."""
    window = [(SIZE - CROP) // 2] * 2 + [CROP] * 2

    def decode(content):
        return tf.io.decode_and_crop_jpeg(content, window, channels=3, **options)

    images = tf.data.Dataset.from_tensor_slices(contents).repeat()
    images = images.map(decode, num_parallel_calls=streamed.DECODED_AT_ONCE)
    return images.shard(batch, batch - 1)  # Python would slow more images down.


def undecoded(split, batch):
    """The training input without its decoder."""
    whole = streamed._decoded
    streamed._decoded = lambda data, images: data.map(lambda content, row: (row, row))
    try:
        return batches.train_batches(split, batch_size=batch, seed=0)
    finally:
        streamed._decoded = whole


@tf.function
def crops(images):
    """A random 224 x 224 crop and flip of each image."""

    def one(image):
        return tf.image.random_flip_left_right(
            tf.image.random_crop(image, (CROP, CROP, 3))
        )

    return tf.map_fn(one, images)


def inputs(split, batch):
    """A dict from a name to a `tf.data.Dataset`."""
    contents = [
        tf.io.encode_jpeg(photo(row), quality=95).numpy() for row in range(DIFFERENT)
    ]
    trained = batches.train_batches(split, batch_size=batch, seed=0)
    viewed = trained.map(
        views.two_views(crops), num_parallel_calls=streamed.DECODED_AT_ONCE
    )
    strong = {
        f"strong views, {library}": strong_views.views_of(
            trained, strong_views.rand_augment(size=CROP, library=library), seed=0
        )
        for library in ("keras", "keras_cv")
        if importlib.util.find_spec(library) is not None
    }
    return {
        "decoder": decoder(contents, batch),
        "decoder, accurate": decoder(contents, batch, dct_method="INTEGER_ACCURATE"),
        "training input": trained,
        "with two views": viewed.prefetch(2),
        "without decoding": undecoded(split, batch),
        **strong,
    }


def timed(dataset, batch, seconds):
    """Images a second, and CPU seconds of this process an image.

    The iterator is new, since an iterator that waits for its turn goes on filling its
    buffers for many seconds.
    """
    iterator = iter(dataset)
    until = time.perf_counter() + 1
    while time.perf_counter() < until:  # The buffers fill.
        next(iterator)
    count, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        next(iterator)
        count += batch
    used = time.process_time() - used
    return count / (time.perf_counter() - start), used / count


def measure(split, flags):
    """Rows of the table."""
    rounds: dict = {}
    datasets = inputs(split, flags.batch)
    for number in range(flags.rounds + 1):
        pairs = list(datasets.items())
        for name, dataset in pairs if number % 2 else pairs[::-1]:
            found = timed(dataset, flags.batch, flags.seconds)
            if number:  # The first round warms up.
                rounds.setdefault(name, []).append(found)
    rows = []
    for name, found in rounds.items():
        rates, used = zip(*found, strict=True)
        ratios = {
            of: statistics.median(
                rate / other for rate, (other, _) in zip(rates, rounds[of], strict=True)
            )
            for of in ("decoder", "decoder, accurate")
        }
        rows.append(
            {
                "input": name,
                "images_per_second": statistics.median(rates),
                "rounds": rates,
                "ratio": ratios,
                "cpu_seconds": statistics.median(used),
            }
        )
        print(
            f"| {name} | {rows[-1]['images_per_second']:.0f} "
            f"| {' | '.join(f'{ratio:.3f}' for ratio in ratios.values())} "
            f"| {1e3 * rows[-1]['cpu_seconds']:.3f} |",
            flush=True,
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=2, help="of a round")
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        split = stored(pathlib.Path(folder) / "set", flags.images)
        writing = flags.images / (time.perf_counter() - start)
        size = sum(pathlib.Path(path).stat().st_size for path in split.images.paths)
        print(f"{size / len(split) / 1e3:.1f} kB an image; load {os.getloadavg()[0]}")
        print("| input | images/s | / decoder | / accurate | CPU ms an image |")
        print("|---|---|---|---|---|")
        rows = measure(split, flags)
    found = {
        "device": summary.device(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "bytes_per_image": size / len(split),
        "images_encoded_per_second": writing,
        "batch": flags.batch,
        "inputs": rows,
    }
    if flags.output:
        pathlib.Path(flags.output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
