r"""Says of new photos which class they are of, by a run or an exported classifier.

josrc-predict --run=runs/photos --photos=NEW --output=predictions.csv
josrc-predict --model=runs/photos/export/model.onnx --photos=NEW \
    --output=predictions.csv --top_k=3 --sort_into=sorted

The table has a row a photo: its path, the class, the probability, with --top_k the
next classes, and whether the photo looks like none of the classes. Photos are read a
few at a time, so that there may be any number of them. They stay where they are;
--sort_into copies them.
"""

from pathlib import Path

from absl import flags

from josrc_keras.commands import shell

_RUN = flags.DEFINE_string("run", None, "The run folder that was trained.")
_MODEL = flags.DEFINE_string(
    "model", None, "Instead of --run: a file or SavedModel that josrc-export wrote."
)
_PHOTOS = flags.DEFINE_multi_string(
    "photos",
    [],
    "A folder, whose photos at any depth are taken, or a photo. With --table the "
    "folder that its paths are relative to; none: that of the table. May be repeated.",
)
_TABLE = flags.DEFINE_string(
    "table", None, "CSV or Parquet file of photos, with the column path."
)
_OUTPUT = flags.DEFINE_string("output", None, "The CSV file to write.")
_TOP_K = flags.DEFINE_integer(
    "top_k", 1, "Number of most probable classes of a photo.", lower_bound=1
)
_NONE_BELOW = flags.DEFINE_float(
    "none_below",
    None,
    "A photo looks like none of the classes if its largest probability is below this; "
    "none: half of that probability's mean over all photos.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_SORT_INTO = flags.DEFINE_string(
    "sort_into", None, "New folder to copy the photos to, a folder for each class."
)
shell.require("output")


def _predict():
    _check_flags()
    shell.begin()
    from josrc_keras.data.photos import decoding
    from josrc_keras.prediction import classifiers, listing, writing
    from josrc_keras.training import progress

    decoding.require()
    output = Path(str(_OUTPUT.value)).expanduser()
    photos = listing.read(_PHOTOS.value, _TABLE.value)
    classifier = classifiers.load(str(_RUN.value or _MODEL.value))
    counts = writing.write(
        photos,
        classifier,
        output,
        top_k=_TOP_K.value,
        none_below=_NONE_BELOW.value,
        follow=lambda items, total: progress.follow(items, total, "photos"),
    )
    shell.say(
        f"{counts['photos']} photos of {len(classifier.class_names)} classes: "
        f"{counts['none']} look like none of them, {counts['broken']} can't be read."
    )
    if _SORT_INTO.value is not None:
        count = writing.sort_into(photos, output, _SORT_INTO.value)
        shell.say(f"{count} photos copied into {_SORT_INTO.value}")
    shell.say(f"Wrote {output}")


def _check_flags():
    """Raises a `ValueError` for flags that do not go together."""
    if (_RUN.value is None) == (_MODEL.value is None):
        raise ValueError(
            "Expected what predicts: --run=DIR or --model=FILE. Received: "
            f"{'neither' if _RUN.value is None else 'both'}. Give one of them."
        )
    if not _PHOTOS.value and _TABLE.value is None:
        raise ValueError(
            "Expected photos: --photos=DIR or --table=FILE. Received: neither. Give "
            "one of them."
        )
    if _TABLE.value is not None and len(_PHOTOS.value) > 1:
        raise ValueError(
            "Expected one folder that the table's paths are relative to. Received: "
            f"{len(_PHOTOS.value)} times --photos with --table. Give one of them."
        )
    if _SORT_INTO.value is None:
        return
    target = Path(_SORT_INTO.value).expanduser().resolve()
    for folder in _PHOTOS.value:
        if target.is_relative_to(Path(folder).expanduser().resolve()):
            raise ValueError(
                "Expected a folder outside of the photos to sort them into. Received: "
                f"--sort_into={_SORT_INTO.value} within --photos={folder}. Choose "
                "another one."
            )
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(
            "Expected a new or empty folder to sort photos into. Received: "
            f"--sort_into={_SORT_INTO.value}, which has something in it. Choose "
            "another one."
        )


def main():
    """Entry point of `josrc-predict`."""
    shell.run(_predict)


if __name__ == "__main__":
    main()
