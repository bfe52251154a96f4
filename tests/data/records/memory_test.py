"""Peak memory is the same for any number of encoded images, written and streamed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What is known of a sample: five integers and a text in NumPy, three of the integers
# twice in TensorFlow, and in a list of Python's while it is written.
BYTES = 300
ALLOCATORS = 16 * 2**20

PROGRAM = """
import json, pathlib, sys
import numpy as np
import tensorflow as tf
from josrc_keras.data import batches, records
from josrc_keras.data.batches import streamed as streaming

streaming.BUFFER = 512  # Some of them are in memory at a time.
folder, (count, streamed, images_per_file) = sys.argv[1], map(int, sys.argv[2:])


def peak():
    # `ru_maxrss` is not it: that begins with what the process's parent had.
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


rows = np.arange(64)
image = np.stack([rows[:, None] + rows + 20 * n for n in range(3)], -1)
content = tf.io.encode_jpeg(image.astype("uint8")).numpy()
examples = ({"image": content, "label": n % 10, "id": f"{n}.jpg"} for n in range(count))
splits = {"train": examples, "test": [{"image": content, "label": 0, "id": ""}]}
records.write_files(
    splits,
    folder,
    class_names=range(10),
    image_size=64,
    images_per_file=images_per_file,
)
written = peak()
train = records.read(folder).train
stream = iter(batches.train_batches(train, batch_size=50, seed=0))
for step in range(streamed // 50):
    next(stream)
print(json.dumps([written, peak()]))
"""


def peaks(*arguments):
    """Peak bytes of a fresh process after it wrote, and after it streamed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's proc")
@pytest.mark.slow
@pytest.mark.parametrize(
    "counts",
    [(2_000, 8_000), (10_000, 100_000)],
)
def test_peak_memory_does_not_grow_with_the_images(tmp_path, counts):
    """Decoded, 6,000 images more are 74 MB, and 90,000 are 1.1 GB.

    As many are streamed of both sets, of the small one in more epochs: TensorFlow's
    buffers take some 2,000 batches to settle, 40 MiB above where they begin.
    """
    in_a_file = counts[0] // 20  # More files than are read at once, in both.
    found = [
        peaks(tmp_path / str(count), count, counts[1], in_a_file) for count in counts
    ]
    allowed = BYTES * (counts[1] - counts[0]) + ALLOCATORS
    for what, few, many in zip(("written", "streamed"), *found, strict=True):
        print(what, *(f"{each / 2**20:.0f} MiB" for each in (few, many)))
        assert many - few < allowed, (what, few, many)
