"""Checks of a folder of photos, and of the arguments it is read with."""

import os

from josrc_keras.data.photos import cache as image_cache
from josrc_keras.data.photos import listing as folder_listing

SMALLEST = 8  # The smallest height and width, in pixels.
BROKEN = ("skip", "refuse")
EXPECTED = (
    "Expected a folder with a sub-folder for each of at least two classes, "
    f"FOLDER/CLASS/photo.jpg ({', '.join(folder_listing.EXTENSIONS)})."
)


def check_arguments(image_size, broken, validation_dir, validation_share):
    """Raises a `ValueError` if an argument of `image_folder.read` is out of range."""
    if not isinstance(image_size, int) or image_size < SMALLEST:
        raise ValueError(
            f"Expected an `image_size` of {SMALLEST} pixels or more, an int. Received: "
            f"image_size={image_size!r}. 64 is a good start for photos."
        )
    if broken not in BROKEN:
        raise ValueError(
            f"Expected `broken` to be one of {BROKEN}. Received: broken={broken!r}."
        )
    if validation_dir is None and not 0 < validation_share < 1:
        raise ValueError(
            "Expected a `validation_share` between 0 and 1, both excluded: training "
            "needs images to report on. Received: validation_share="
            f"{validation_share}. Choose 0.1, or pass `validation_dir`."
        )


def check_folders(folders, cache):
    """Checks the folders of photos, and that the cache replaces nothing else.

    Raises:
        ValueError: If a folder can't be read, one lies in another, or the cache's place
            holds something else.
    """
    for folder in folders:
        if fault := _fault(folder):
            raise ValueError(f"{EXPECTED} Received: {folder}, which {fault}.")
    places = [path.resolve() for path in (cache, *folders)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        if other < len(places) and (
            places[one].is_relative_to(places[other])
            or places[other].is_relative_to(places[one])
        ):
            raise ValueError(
                "Expected separate folders for the photos, for those to validate on "
                f"and for the cache. Received: {places[one]} and {places[other]}, of "
                "which one holds the other. Move one of them."
            )
    if cache.exists() and (
        not cache.is_dir() or set(os.listdir(cache)) - set(image_cache.FILES)
    ):
        raise ValueError(
            "Expected a cache that was made before, or a new folder. Received: "
            f"{cache}, which holds something else. Choose another one."
        )


def _fault(folder):
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is no folder"
    if not os.access(folder, os.R_OK | os.X_OK):
        return "can't be read: Permission denied"
    return None


def check_classes(folder, listing, names, broken):
    """Raises a `ValueError` if usable images have fewer than two classes, `names`."""
    if len(names) > 1:
        return
    if names:
        received = f"images of one class only, {names[0]!r}"
    elif listing.stray:
        received = (
            f"{len(listing.stray)} images that lie in no class folder, such as "
            f"{listing.stray[0]!r}"
        )
    else:
        received = f"no usable image, and {listing.ignored} hidden or other files"
    if broken:
        received += f"; {examples(broken)}"
    raise ValueError(
        f"{EXPECTED} Received: {folder} with {received}. Put the images of each class "
        "into a folder that is named as the class."
    )


def check_broken(found, broken):
    """Raises a `ValueError` for broken images unless they are to be skipped.

    Args:
        found: `(path, reason)` of each broken image.
        broken: One of `BROKEN`.

    Raises:
        ValueError: If there are broken images and `broken` is `"refuse"`.
    """
    if found and broken == "refuse":
        raise ValueError(
            f"Expected images that can be decoded. Received: {examples(found)}. Repair "
            "or remove them, or choose broken='skip'."
        )


def check_validation(folders, names, validation_names):
    """Checks the images to report on.

    Args:
        folders: The folder of photos, and `validation_dir` where there is one.
        names: Names of the classes of the training images.
        validation_names: Names of the classes of the images to report on.

    Raises:
        ValueError: If there are none, or their classes have no training images.
    """
    if len(folders) == 1:
        if not validation_names:
            raise ValueError(
                "Expected a class of two images or more, so that there is one to "
                f"report on. Received: {folders[0]} with one usable image in each of "
                f"its {len(names)} classes. Add images, or pass `validation_dir`."
            )
        return
    expected = (
        f"Expected a `validation_dir` with images of classes of {folders[0]}, "
        f"{few(names)}. Received: {folders[1]} with"
    )
    unknown = sorted(set(validation_names) - set(names))
    if unknown:
        raise ValueError(
            f"{expected} the classes {few(unknown)} too, which have no training "
            "images. Rename or remove these folders."
        )
    if not validation_names:
        raise ValueError(f"{expected} no usable image. Add some to its class folders.")


def examples(broken):
    """The first few of the broken images, and how many there are."""
    shown = "; ".join(f"{path!r} {reason}" for path, reason in broken[:3])
    return f"{len(broken)} broken, such as {shown}"


def few(names):
    """The names as text, only the first ten where there are more."""
    return f"{names[:10]}" if len(names) <= 10 else f"{names[:10]} and others"
