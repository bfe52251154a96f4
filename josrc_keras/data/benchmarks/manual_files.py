"""Datasets that were downloaded by hand: their lists, and images that may be broken.

For the builders of TensorFlow Datasets; paths are its `etils.epath.Path`.
"""

import io

from absl import logging

from josrc_keras.data.photos import decoding

LISTED = 10_000  # Images that a summary names; all are counted.
MOST_SKIPPED = 0.1  # Share of a split. The real sets have far less than 1%.
QUALITY = 95  # Of the JPEG that replaces another format.


def find_folder(manual_dir, names, landmark):
    """The folder of a dataset: `manual_dir`, or one of the names in it.

    Args:
        manual_dir: TFDS's folder of what was downloaded by hand.
        names: Names that the dataset's folder may have.
        landmark: Path of a file in it that tells it from others.

    Raises:
        OSError: If there is none.
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
    """The lines of a list that are not empty, without the one that is its header.

    Raises:
        OSError: If there is no such list, or nothing in it.
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
    """A list of `key number` as a dict; of a key that comes twice the last line counts.

    Args:
        path: The list.
        numbers: The numbers that there may be, a `range`.
        header: How the line that is no entry begins.

    Raises:
        OSError: If a line is something else.
    """
    found = {}
    for line in read_lines(path, header):
        key, _, text = line.replace("\t", " ").rpartition(" ")
        if not key or not text.isdigit() or int(text) not in numbers:
            raise OSError(
                f"Expected lines of a path and a number from {numbers[0]} to "
                f"{numbers[-1]} in {path}. Received: {line!r}. Unpack the dataset's "
                "annotations again."
            )
        found[key.strip()] = int(text)
    return found


def read_names(path, count, header=None):
    """A list of as many different class names.

    Raises:
        OSError: If there are more or fewer.
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
    """Reads the images of a dataset, and keeps account of those it leaves out.

    Args:
        summary: A dict, emptied and filled as images are read: for each split how many
            images it `listed`, were `repeated` in the list, `skipped`, and
            `transcoded` to JPEG; `skipped_images` and `transcoded_images` name the
            first 10,000, as `[split, path, reason]`.
    """

    def __init__(self, summary):
        decoding.require()
        self.summary = summary
        summary.clear()
        for name in ("listed", "repeated", "skipped", "transcoded"):
            summary[name] = {}
        summary.update(skipped_images=[], transcoded_images=[])

    def begin(self, split, keys, published):
        """Begins a split; returns its keys without those that are repeated.

        Args:
            split: Its name.
            keys: The keys in its list.
            published: How many there should be.
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
        """The JPEG at a path, byte for byte; None if it is broken, which is counted.

        Another format is transcoded, whatever the path's extension: TensorFlow reads
        no WebP, and animated GIFs as four dimensions.
        """
        try:
            content = path.read_bytes()
            found = decode(content)
        except OSError as error:
            self.skip(split, key, error.strerror or str(error))
            return None
        except Exception as error:  # Pillow raises all kinds of them for broken files.
            self.skip(split, key, str(error) or type(error).__name__)
            return None
        if found in ("JPEG", "MPO"):  # MPO: JPEGs one after the other.
            return content
        self._count("transcoded", split, key, f"is a {found}")
        return transcode(content)

    def skip(self, split, key, reason):
        """Counts an image that is left out.

        Raises:
            OSError: If there are too many for a dataset that is whole.
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
    """Decodes an image to see that it can be, a JPEG at an eighth of its size.

    That reads all of a JPEG's data, in about 0.3 ms for 512 x 384 pixels, and finds
    what TensorFlow's decoder refuses: a file cut off at any place, or that is no image.
    It finds no damage that decoders get over, such as a few wrong bytes.

    Args:
        content: The file's bytes.

    Returns:
        Its format, such as `"JPEG"`.

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
    """An image's first frame as JPEG, what is transparent white."""
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
