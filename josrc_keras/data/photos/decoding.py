"""Decodes photos with Pillow to square RGB images of one size."""

import collections
import concurrent.futures
import contextlib
import importlib
import os
import threading
import warnings

import numpy as np

from josrc_keras import _checks
from josrc_keras.data.photos import listing
from josrc_keras.devices import accelerator

# A format is recognised by content, whatever the extension says. Not every format that
# Pillow knows is allowed: for a PostScript file named photo.jpg it would start
# Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF", "TIFF", "HEIF")
TEXT = 64 * 2**20  # Bytes that a text or a colour profile in a PNG may have.
ORIENTATION = 0x0112  # The EXIF tag.
SIDEWAYS = (5, 6, 7, 8)  # Its values for photos whose width is shown as height.
# Bytes that all threads together may take while they decode large images. A PNG of a
# few hundred kB can have 180 million pixels.
MEMORY = 2**20 * int(os.environ.get("JOSRC_PHOTO_MEMORY_MB", "2048"))
LARGE = 2**26  # Bytes of an image that is waited for, since others are small.
AHEAD = 4  # Images for each thread that are decoded before they are asked for.


def require():
    """Imports Pillow.

    Raises:
        ImportError: If Pillow is not installed.
    """
    _checks.imported("PIL.Image", "Photos are decoded with Pillow", "report").init()
    from PIL import PngImagePlugin

    # Programs that draw images write their settings into them, colour profiles are
    # large, too, and Pillow takes more than 1 MiB of either for an attack.
    limits = {"MAX_TEXT_CHUNK": TEXT, "MAX_TEXT_MEMORY": 4 * TEXT}
    for name, limit in limits.items():
        setattr(PngImagePlugin, name, max(limit, getattr(PngImagePlugin, name)))
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()


def decode(path, size):
    """Decodes a file to a square image.

    The first frame is turned upright as its EXIF data say, scaled with antialiasing so
    that the shorter side has `size` pixels, and cropped at the centre. Transparent
    pixels show white behind them, and 16 bits are scaled to 8. Colour profiles are not
    applied.

    Args:
        path: The file: a path, or an open binary file.
        size: Height and width of the image, in pixels.

    Returns:
        `(size, size, 3)` uint8 array.

    Raises:
        OSError, ValueError and others: Whatever Pillow raises for a broken file, or for
            one of more than 179 million pixels (twice `PIL.Image.MAX_IMAGE_PIXELS`).
    """
    from PIL import ImageOps

    with opened(path, size) as (image, upright, _):
        return np.asarray(upright(ImageOps.fit(image, (size, size))))


@contextlib.contextmanager
def opened(path, size):
    """Yields a photo as RGB, and a function that turns images made of it upright.

    Args:
        path: The file: a path, or an open binary file.
        size: Pixels that are needed of each side: a JPEG that has more than twice as
            many is decoded at a half, a quarter or an eighth of its size.

    Yields:
        `(image, upright, full)`: a `PIL.Image.Image`; a function from an image of any
        size to the image as its EXIF data say; and the upright photo's full width and
        height.

    Raises:
        OSError, ValueError and others: As for `decode`.
    """
    from PIL import Image

    known = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(path, formats=known) as image:
        turn = _orientation(image)
        full = image.size[::-1] if turn in SIDEWAYS else image.size
        image.draft("RGB", (2 * size, 2 * size))
        with _memory.taken(_bytes_of(image)):
            image.load()
            yield _to_rgb(image), lambda made: _upright(made, turn), full


def _bytes_of(image):
    """About how much memory an image takes until it is scaled."""
    copies = 5 if image.mode in ("RGBA", "LA", "PA", "P") else 3
    return 4 * copies * image.width * image.height


class _Memory:
    """Memory that threads share: who wants more than is left waits for the others."""

    def __init__(self, total):
        self.total = total
        self.used = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, count):
        """Takes `count` bytes. An image that needs more than all waits to be alone."""
        count = count if count >= LARGE else 0
        with self.changed:
            self.changed.wait_for(
                lambda: not count or not self.used or self.used + count <= self.total
            )
            self.used += count
        try:
            yield
        finally:
            with self.changed:
                self.used -= count
                self.changed.notify_all()


_memory = _Memory(MEMORY)


def _to_rgb(image):
    from PIL import Image

    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _orientation(image):
    try:
        return image.getexif().get(ORIENTATION)
    except Exception:  # Unreadable EXIF data do not make a photo broken.
        return None


def _upright(square, orientation):
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation)
    return square if turn is None else square.transpose(turn)


def decode_all(paths, size, function=None):
    """Decodes files on all cores, with a few images in memory at a time.

    Threads do the work, since Pillow releases the interpreter's lock while it decodes
    and resizes. Close the generator, so that the threads end:
    `with contextlib.closing(...)`.

    Args:
        paths: An iterable of files, each as in `decode`.
        size: Height and width of the images, in pixels.
        function: What makes the images of a file, with the arguments of `decode`;
            None takes `decode`.

    Yields:
        For each file, in order, what `function` returns, or a string that says why it
        is broken.
    """
    function = function or decode
    threads = accelerator.core_count()
    waiting: collections.deque = collections.deque()
    with warnings.catch_warnings(), _pool(threads) as pool:
        # Pillow warns of large images, corrupt EXIF data and so on.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for path in paths:
            waiting.append(pool.submit(_attempt, function, path, size))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextlib.contextmanager
def _pool(threads):
    """A pool of threads that drops tasks not yet begun when it is closed."""
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(function, path, size):
    """What the function makes of the file, or the reason why it can't be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        return function(path, size)
    except MemoryError:  # The file is not at fault.
        raise
    except UnidentifiedImageError:
        suffix = os.path.splitext(str(path))[1].lower()
        if suffix in listing.HEIF and "HEIF" not in Image.OPEN:
            return "needs `pip install josrc-keras[heif]` to be decoded"
        return f"is no image of a known format ({', '.join(FORMATS)})"
    except Exception as error:  # Pillow raises many kinds of errors.
        if isinstance(error, OSError) and error.strerror:
            return listing.cannot_read(error)
        return " ".join(str(error).split()) or type(error).__name__
