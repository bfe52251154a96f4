"""Jo-SRC on Clothing1M: a million web photos of 14 kinds of clothes, ResNet-50.

    josrc-train --config=clothing1m_resnet50 --workdir=runs/clothing1m \
        --config.data.manual_dir=DOWNLOADS

The dataset has to be requested and unpacked into DOWNLOADS
(`data/benchmarks/clothing1m.py` says how). It is resized once, into the run folder, and
streamed from there. The method is the adaptive one, unless a recipe is named
(`clothing1m_resnet50:paper`, or `:published_code`). All else is as in the paper's
published code: SGD with Nesterov momentum, cosine decay, 15 epochs, photos of 256
pixels cropped to 224. Neither paper nor code says the batch size, so it is ours. Keras
applies weight decay beside the gradient's step (decoupled), PyTorch within it.

The published code adds the 47,570 images of the clean list to the training set. Most
other work leaves them out. So does this page, except with the recipe `published_code`
or `--config.data.use_clean_train`. Training needs GPUs: see docs/howto/large_photos.md.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "clothing1m"
    config.data.image_size = 256
    config.data.use_clean_train = recipe == "published_code"

    config.network.name = "resnet50"
    config.network.weights = "imagenet"
    config.augmentation.padding = 0
    config.augmentation.size = 224
    config.batch_size = 64
    config.epochs = 15

    # 38.46% of the labels are wrong (Xiao et al., CVPR 2015).
    config.forget.rate = 0.3846
    config.model.smoothing = 0.7
    config.model.alpha = 0.4
    config.threshold.tau_c = 0.9
    config.threshold.warmup_epochs = 5
    # As published for Clothing1M, but for the schedule and the balanced draws.
    config.dividemix.warmup_epochs = 1
    config.dividemix.concentration = 0.5
    config.dividemix.confidence_penalty = True
    config.dividemix.form = "labelled"

    config.optimizer.name = "SGD"
    with config.unlocked():
        config.optimizer.arguments.momentum = 0.9
        config.optimizer.arguments.nesterov = True
    config.optimizer.arguments.learning_rate = 0.002
    config.optimizer.arguments.weight_decay = 1e-4
    config.learning_rate_decay.name = "cosine"
    return config
