r"""Writes a dataset with its noisy labels as TFRecord files, which training streams.

josrc-records --config=cifar80n_o --config.data.rate=0.5 --output=records/cifar80n_o
josrc-train --config=cifar80n_o --config.data.name=records \
    --config.data.dir=records/cifar80n_o --workdir=runs/streamed

josrc-records --config=image_folder --config.data.image_size=256 \
    --config.data.dir=PHOTOS --output=records/photos
josrc-train --config=photos_resnet50 --config.data.dir=records/photos \
    --workdir=runs/photos
"""

from absl import flags

from josrc_keras.commands import shell

_CONFIG = shell.define_config_flag()
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write, which must be new.")
shell.require("config", "output")


def _write():
    shell.begin()
    from josrc_keras.data import records
    from josrc_keras.runs import build_data, large_sets

    name, output = _CONFIG.value.data.name, str(_OUTPUT.value)
    if name in large_sets.NAMES or name == "image_folder":
        if name == "image_folder":
            build_data.write_folder(_CONFIG.value, output)
        else:
            large_sets.write(_CONFIG.value, output)
        benchmark = records.read(output)
    else:
        benchmark = build_data.make_benchmark(_CONFIG.value)
        records.write(benchmark, output)
    shell.say(f"{len(benchmark.train)} + {len(benchmark.test)} images: {output}")


def main():
    """Entry point of `josrc-records`."""
    shell.run(_write)


if __name__ == "__main__":
    main()
