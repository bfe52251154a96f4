"""Datasets that are downloaded by hand: their lists, and images that may be broken.

The builders of TensorFlow Datasets (TFDS) use this module. Paths are TFDS's
`etils.epath.Path`.
"""

import io

from absl import logging

from josrc_keras.data.photos import decoding

LISTED = 10_000  # Images that a summary names; all are counted.
MOST_SKIPPED = 0.1  # Share of a split. The real sets lack far less than 1%.
QUALITY = 95  # Quality of the JPEG that replaces another format.


def find_folder(manual_dir, names, landmark):
    """The folder of a dataset: `manual_dir`, or a folder in it of one of the names.

    Args:
        manual_dir: TFDS's folder of files that are downloaded by hand.
        names: Names that the dataset's folder may have.
        landmark: Relative path of a file by which the folder is recognised.

    Raises:
        OSError: If no folder has that file.
    """
    for folder in (manual_dir, *(manual_dir / name for name in names)):
        if (folder / landmark).exists():
            return folder
    raise OSError(
        f"Expected {landmark} in {manual_dir}, or in its {' or '.join(names)}. "
        "Received: no such file. Put the dataset there as the download instructions "
        "say, or pass the right `manual_dir`."
    )


def read_lines(path, header=None):
    """The lines of a list that are not empty, without its header.

    Args:
        path: The list.
        header: How the header begins; None where there is none.

    Raises:
        OSError: If the list can't be read or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(
            f"Expected the text file {path}. Received: {reason}. Unpack the dataset's "
            "annotations again."
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if header and lines and lines[0].startswith(header):
        del lines[0]
    if not lines:
        raise OSError(
            f"Expected lines in {path}. Received: none. Unpack the dataset's "
            "annotations again."
        )
    return lines


def read_numbers(path, numbers, header=None):
    """Reads a list of `key number` into a dict. The last line of a key counts.

    Args:
        path: The list.
        numbers: The numbers that are allowed, a `range`.
        header: How the header begins; None where there is none.

    Raises:
        OSError: If the list can't be read, or a line is something else.
    """
    numbered = {}
    for line in read_lines(path, header):
        key, _, text = line.replace("\t", " ").rpartition(" ")
        if not key or not text.isdigit() or int(text) not in numbers:
            raise OSError(
                f"Expected lines of a path and a number from {numbers[0]} to "
                f"{numbers[-1]} in {path}. Received: {line!r}. Unpack the dataset's "
                "annotations again."
            )
        numbered[key.strip()] = int(text)
    return numbered


def read_names(path, count, header=None):
    """Reads a list of `count` different class names.

    Raises:
        OSError: If the list can't be read, or has more or fewer names.
    """
    names = read_lines(path, header)
    if len(names) != count or len(set(names)) != count:
        raise OSError(
            f"Expected {count} different class names in {path}. Received: "
            f"{len(names)} lines, {len(set(names))} different ones. Unpack the "
            "dataset's annotations again."
        )
    return names


class Images:
    """Reads the images of a dataset, and counts those that it leaves out.

    Args:
        summary: A dict, emptied and filled as images are read. `listed`, `repeated`,
            `skipped` and `transcoded` hold for each split the number of images in its
            list, repeated in it, left out, and transcoded to JPEG. `skipped_images` and
            `transcoded_images` name the first 10,000, as `[split, path, reason]`.
    """

    def __init__(self, summary):
        decoding.require()
        self.summary = summary
        summary.clear()
        for name in ("listed", "repeated", "skipped", "transcoded"):
            summary[name] = {}
        summary.update(skipped_images=[], transcoded_images=[])

    def begin(self, split, keys, published):
        """Begins a split, and returns its keys without repetitions.

        Args:
            split: Name of the split.
            keys: The keys in its list.
            published: Number of keys that the list should have.
        """
        different = list(dict.fromkeys(keys))
        self.summary["listed"][split] = len(keys)
        self.summary["repeated"][split] = len(keys) - len(different)
        self.summary["skipped"][split] = self.summary["transcoded"][split] = 0
        if len(keys) != published:
            logging.warning(
                "Expected %d images in the list of %s. Received: %d. Is the list "
                "whole?",
                published,
                split,
                len(keys),
            )
        return different

    def read(self, split, key, path):
        """Reads the JPEG at a path, byte for byte. Counts a broken file, returns None.

        Another format is transcoded, whatever the path's extension: TensorFlow does not
        read WebP, and reads animated GIFs as four dimensions.

        Raises:
            OSError: If too many images of the split are broken or missing.
        """
        try:
            content = path.read_bytes()
            image_format = decode(content)
        except OSError as error:
            self.skip(split, key, error.strerror or str(error))
            return None
        except Exception as error:  # Pillow raises many kinds of errors.
            self.skip(split, key, str(error) or type(error).__name__)
            return None
        if image_format in ("JPEG", "MPO"):  # An MPO is several JPEGs in a row.
            return content
        self._count("transcoded", split, key, f"is a {image_format}")
        return transcode(content)

    def skip(self, split, key, reason):
        """Counts an image that is left out.

        Raises:
            OSError: If more than a tenth of the split (and more than 10) are left out.
        """
        self._count("skipped", split, key, " ".join(reason.split()))
        count, listed = self.summary["skipped"][split], self.summary["listed"][split]
        if count > max(10, MOST_SKIPPED * listed):
            raise OSError(
                f"Expected at most {MOST_SKIPPED:.0%} of the {listed} images of "
                f"{split} to be broken or missing. Received: {count} already, the last "
                f"one {key!r}: {reason}. Unpack the images again."
            )

    def report(self):
        """Logs what was left out."""
        for split, count in self.summary["skipped"].items():
            logging.info(
                "%s: %d of %d images skipped, %d transcoded to JPEG, %d repeated in "
                "the list.",
                split,
                count,
                self.summary["listed"][split],
                self.summary["transcoded"][split],
                self.summary["repeated"][split],
            )

    def _count(self, name, split, key, reason):
        self.summary[name][split] += 1
        if len(self.summary[f"{name}_images"]) < LISTED:
            self.summary[f"{name}_images"].append([split, key, reason])


def decode(content):
    """Checks that an image can be decoded. A JPEG is decoded at an eighth of its size.

    All of a JPEG's data are read, in about 0.3 ms for 512 x 384 pixels. This finds what
    TensorFlow's decoder refuses: a truncated file, or one that is no image. It does not
    find damage that decoders tolerate, such as a few wrong bytes.

    Args:
        content: The file's bytes.

    Returns:
        The format, such as `"JPEG"`.

    Raises:
        OSError and others: Whatever Pillow raises for a broken file.
    """
    from PIL import UnidentifiedImageError

    try:
        with _open(content) as image:
            image.draft("RGB", (1, 1))
            image.load()
            return image.format
    except UnidentifiedImageError:
        known = ", ".join(decoding.FORMATS)
        raise OSError(f"is no image of a known format ({known})") from None


def transcode(content):
    """The first frame of an image as JPEG bytes, white where it is transparent."""
    from PIL import Image

    with _open(content) as image:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        buffer = io.BytesIO()
        opaque = Image.alpha_composite(white, image).convert("RGB")
        opaque.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()


def _open(content):
    from PIL import Image

    known = [name for name in decoding.FORMATS if name in Image.OPEN]
    return Image.open(io.BytesIO(content), formats=known)
