"""Photos of coloured shapes in class folders, and a tiny backbone that sees colours."""

import keras
import numpy as np
from keras import layers

COLOURS = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}
SIZE = 32


def write_photos(folder, count=24, wrong=4, seed=0):
    """Writes `count` photos a class, of which `wrong` show the next class.

    Returns:
        The set of ids whose label is wrong.
    """
    from PIL import Image

    random = np.random.default_rng(seed)
    names = sorted(COLOURS)
    mislabelled = set()
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for photo in range(count):
            shown = name
            if photo < wrong:
                shown = names[(number + 1) % len(names)]
                mislabelled.add(f"{name}/{photo:03}.png")
            colour = np.array(COLOURS[shown]) + random.normal(0, 12, 3)
            texture = random.integers(0, 60, (6, 8, 3)) - 30
            coarse = np.clip(colour + texture, 0, 255).astype("uint8")
            image = Image.fromarray(coarse).resize((80, 60), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{photo:03}.png")
    return mislabelled


def write_backbone(path, channels=3):
    """Saves a network that averages colours over the four quarters of an image."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, channels))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.AveragePooling2D(SIZE // 2)(x)
    keras.Model(image, layers.Flatten()(x)).save(path)
    return path
