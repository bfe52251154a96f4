"""Trains all layers on a folder of photos, from the classifier that an audit made.

    josrc-audit --photos=PHOTOS --output=audit --classifier=classifier.keras
    josrc-train --config=photos_finetune --config.network.name=classifier.keras \
        --config.data.dir=PHOTOS --workdir=runs/tuned
    josrc-audit --run=runs/tuned

The first command trains a head on a frozen backbone, in minutes. The second goes on
from there with all layers, for which it needs a GPU or hours. The head learns ten times
as fast as the backbone, whose batch normalisation stays as it is. The log says how long
it will take. docs/results/photos.md says whether that was better than the head alone.
"""

from josrc_keras.configs import image_folder


def get_config(recipe="lean"):
    config = image_folder.get_config(recipe)
    config.network.weights = "imagenet"  # The file's own.
    config.network.frozen = "normalisation"
    config.epochs = 5
    config.optimizer.head_factor = 10.0
    config.optimizer.arguments.learning_rate = 1e-5
    if recipe == "lean":
        config.adaptive.leave_one_out = False  # Not measured with few photos.
        config.optimizer.name = "sgd"
        with config.unlocked():
            config.optimizer.arguments.momentum = 0.9
            config.optimizer.arguments.nesterov = True
        config.optimizer.arguments.learning_rate = 1e-3
        config.optimizer.arguments.weight_decay = 5e-3
    return config
