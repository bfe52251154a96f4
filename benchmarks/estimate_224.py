"""Estimates from measurements what training on Clothing1M takes: time, cores, storage.

    python benchmarks/estimate_224.py > results/scale/clothing1m.md

Operations are counted in the networks' convolutions and dense layers. Sizes and rates
of the input are from results/scale/input_224.json (`benchmarks/input_224.py`). How much
of its peak an accelerator reaches is assumed, not measured.
"""

import json
import math
from pathlib import Path

import keras

from josrc_keras import networks
from josrc_keras.configs import clothing1m_resnet18, clothing1m_resnet50

MEASURED = Path(__file__).parent.parent / "results/scale/input_224.json"
IMAGES = {"noisy": 1_000_000, "validation": 14_313, "test": 10_526}
CLEAN = 47_570
# Operations a second of an H200 in bfloat16 without sparsity (NVIDIA).
PEAK = 989e12
# Assumed shares of the peak. 3,000 images a second of ordinary training of ResNet-50,
# as is published for such GPUs, are 3,000 x 3 passes x 8.2e9 / 989e12, 7.5%. The other
# share is optimistic.
SHARES = (0.075, 0.30)
GPUS = (1, 8)


def operations(network):
    """Operations of one prediction of one image: twice the multiplications."""
    total = 0
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Conv2D):
            total += (
                2
                * layer.kernel.shape.num_elements()
                * math.prod(layer.output.shape[1:3])
            )
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * layer.kernel.shape.num_elements()
    return total


def passes(config):
    """Predictions of an image in an epoch, on average. A gradient counts as two.

    The student predicts two views, each with its gradient, and the teacher two once the
    warm-up is over.
    """
    late = max(config.epochs - config.threshold.warmup_epochs + 1, 0) / config.epochs
    return 2 * 3 + 2 * late


def rows(config, rate, size):
    """The lines of the table."""
    make = networks.by_name(config.network.name)
    crop = config.augmentation.size
    network = make(14, head=config.network.head, input_shape=(crop, crop, 3))
    per_image = operations(network) * passes(config)
    images = IMAGES["noisy"] * config.epochs
    for gpus in GPUS:
        for share in SHARES:
            speed = gpus * share * PEAK / per_image
            yield [
                config.network.name,
                f"{per_image / 1e9:.0f}",
                str(gpus),
                f"{share:.1%}",
                f"{speed:,.0f}",
                f"{images / speed / 3600:.2f}",
                str(math.ceil(speed / rate)),
                f"{speed * size / 1e6:.0f}",
            ]


TEXT = """\
# Clothing1M: an estimate

    python benchmarks/estimate_224.py > results/scale/clothing1m.md

**Storage.** {count:,} images, 256 x 256 as JPEG of quality 95, {size:.1f} kB each as
the benchmark's synthetic photos are: {stored:.1f} GB, and {more:.1f} GB more with the
{clean:,} of `use_clean_train`; beside the download and the copy of it that TensorFlow
Datasets keeps.

**Input.** A core reads, shuffles and decodes {rate:,.0f} images a second
({device}, `{command}`). Crops and flips are drawn on the accelerator.

**Arithmetic.** Operations are those of the convolutions and dense layers, times the
passes of Jo-SRC: two views forward and backward, and two of the teacher after the
warm-up. A GPU reaches a share of an H200's 989e12 operations a second: 7.5%, as 3,000
images a second of ordinary ResNet-50 training would, or 30%, which is optimistic. No
GPU was there to measure it. 15 epochs of a million images.
"""


def main():
    measured = json.loads(MEASURED.read_text())
    inputs = {row["input"]: row for row in measured["inputs"]}
    rate = inputs["training input"]["images_per_second"] / measured["cores"]
    size = measured["bytes_per_image"]
    count = sum(IMAGES.values())
    print(
        TEXT.format(
            count=count,
            size=size / 1e3,
            stored=count * size / 1e9,
            more=CLEAN * size / 1e9,
            clean=CLEAN,
            rate=rate,
            device=measured["device"],
            command=measured["command"],
        )
    )
    header = ["network", "10^9 operations an image", "GPUs", "share", "images/s"]
    header += ["hours", "cores for the input", "MB/s read"]
    for line in (header, ["---"] * len(header)):
        print("| " + " | ".join(line) + " |")
    for page in (clothing1m_resnet18, clothing1m_resnet50):
        for line in rows(page.get_config("paper"), rate, size):
            print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
