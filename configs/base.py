"""Every field that a configuration can have, with the paper's CIFAR settings.

Yao et al., "Jo-SRC: A Contrastive Approach for Combating Noisy Labels", CVPR 2021,
section 4.1, and the published code's settings where the paper is silent. A field that
is not listed here does not exist: a misspelt one is refused. A configuration file of
your own can add arguments of its optimizer under `config.unlocked()`.
"""

import ml_collections
from ml_collections import config_dict


def get_config():
    config = ml_collections.ConfigDict()
    config.method = "josrc"  # or "standard"
    config.seed = 0
    config.deterministic = "cpu"  # or "always", "never": see experiment.seed_everything

    config.data = ml_collections.ConfigDict()
    config.data.name = "cifar80n_o"
    config.data.noise = "symmetric"  # or "pairflip", "blockflip"
    config.data.rate = 0.2
    config.data.seed = config.get_ref("seed")  # of the noise; follows `seed`
    config.data.train_size = config_dict.placeholder(int)  # first so many images

    config.batch_size = 128
    config.epochs = 200
    config.steps_per_execution = 1

    config.network = ml_collections.ConfigDict()
    config.network.name = "cnn7"
    config.network.head = "mlp"  # or "linear"

    config.augmentation = ml_collections.ConfigDict()
    config.augmentation.padding = 4
    config.augmentation.flip = True

    config.model = ml_collections.ConfigDict()  # arguments of JoSRC
    config.model.smoothing = 0.6
    config.model.alpha = 0.5
    config.model.tau_ood = 0.5
    config.model.scale = 10.0
    config.model.consistency_base = 2.0
    config.model.inclusive = False
    config.model.teacher_views = "both"
    config.model.teacher_statistics = "batch"

    config.threshold = ml_collections.ConfigDict()  # arguments of CleanThreshold
    config.threshold.tau_c = 0.75
    config.threshold.tau_m = 0.95
    config.threshold.warmup_epochs = 10
    config.threshold.first_epoch = 1

    config.teacher = ml_collections.ConfigDict()  # arguments of MeanTeacher
    config.teacher.decay = 0.99
    config.teacher.start_epoch = 1
    config.teacher.ramp_up_epochs = 0
    config.teacher.evaluate = "both"

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.arguments = ml_collections.ConfigDict()  # of the Keras optimizer
    config.optimizer.arguments.learning_rate = 1e-3
    config.optimizer.arguments.weight_decay = config_dict.placeholder(float)
    config.optimizer.arguments.clipnorm = config_dict.placeholder(float)

    config.decay = ml_collections.ConfigDict()  # arguments of LinearDecay
    config.decay.start_epoch = 80
    config.decay.beta_1 = config_dict.placeholder(float)  # of Adam, from then on
    return config.lock()
