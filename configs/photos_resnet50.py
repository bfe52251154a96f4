"""Jo-SRC on many large photos of your own, with a ResNet-50 from ImageNet.

    josrc-records --config=image_folder --config.data.image_size=256 \
        --config.data.dir=PHOTOS --output=records/photos
    josrc-train --config=photos_resnet50 --config.data.dir=records/photos \
        --workdir=runs/photos

PHOTOS has a sub-folder for each class. The first command scales the photos to 256
pixels and sets a tenth of each class aside to report on. The second streams them, and
crops them to 224. `smoothing` follows the number of classes, and `alpha` and the
threshold are those of `image_folder`. All else is as for Clothing1M. For a few thousand
small photos `image_folder` is enough.
"""

from josrc_keras.configs import clothing1m_resnet50


def get_config(recipe="adaptive"):
    config = clothing1m_resnet50.get_config(recipe)
    config.data.name = "records"
    config.data.use_clean_train = False

    config.model.smoothing = None
    config.model.alpha = 0.3
    config.threshold.tau_c = 0.75
    config.forget.rate = None
    return config
