"""Jo-SRC on many photos of your own, large ones, with a ResNet-50 from ImageNet.

    josrc-records --config=image_folder --config.data.image_size=256 \
        --config.data.dir=PHOTOS --output=records/photos
    josrc-train --config=photos_resnet50 --config.data.dir=records/photos \
        --workdir=runs/photos

PHOTOS has a sub-folder for each class. The first command scales them to 256 pixels and
sets a tenth of each class aside to report on; the second streams them, and crops to
224. All else is as for Clothing1M, but for what depends on the number of classes:
`smoothing` follows it. `alpha` and the threshold are those of `image_folder`. For a few
thousand small photos that page is enough.
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
