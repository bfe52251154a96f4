"""Every field that a configuration can have, with the paper's CIFAR settings.

Yao et al., "Jo-SRC: A Contrastive Approach for Combating Noisy Labels", CVPR 2021,
section 4.1, and the published code's settings where the paper is silent. A field that
is not listed here does not exist: a misspelt one is refused. A configuration file of
your own can add arguments of its optimizer under `config.unlocked()`.

Where the paper's text and its published code differ, a recipe chooses, after a colon:
`--config=cifar80n_o:published_code`.

    recipe            threshold  criterion  head    Adam's beta_1  teacher's label
    paper             epoch 1    >          mlp     0.9, then 0.1  mean of both views
    published_code    epoch 0    >=         mlp     0.9, then 0.1  mean of both views
    paper_text        epoch 1    >          linear  0.9            first view

`paper` takes the text where it speaks, and the code's choice where the paper's figures
need it; README.md has the whole list of differences. The default, `adaptive`, is as
`paper` but for the selection: `config.trust` instead of `config.model` and
`config.threshold`, with values for any data, see josrc_keras/recipes.py.
"""

import ml_collections
from ml_collections import config_dict

RECIPES = ("adaptive", "paper", "published_code", "paper_text")


def get_config(recipe="adaptive"):
    if recipe not in RECIPES:
        raise ValueError(
            f"Unknown recipe. Received: {recipe!r}. Expected one of {RECIPES}."
        )
    config = ml_collections.ConfigDict()
    # Or "standard", "decoupling", and, which are told the noise rate, "coteaching",
    # "coteaching_plus", "jocor".
    config.method = "josrc"
    config.seed = 0
    config.deterministic = "cpu"  # or "always", "never": see experiment.seed_everything

    config.data = ml_collections.ConfigDict()
    # Or "records", "image_folder": `dir` is the folder that `josrc-records` wrote, or
    # one of photos. Its labels are as they are there: `noise` and `rate` say nothing.
    config.data.name = "cifar80n_o"
    config.data.dir = config_dict.placeholder(str)
    config.data.image_size = 64  # Pixels a side that photos are scaled to.
    # Folder of photos to report on; None sets `validation_share` of `dir` aside.
    config.data.validation_dir = config_dict.placeholder(str)
    config.data.broken = "skip"  # or "refuse": photos that can't be decoded
    # Of Clothing1M, Food-101N and CIFAR-N: where TensorFlow Datasets finds what was
    # downloaded by hand; and whether Clothing1M's clean training list is trained on,
    # too. `dir` is for the records of the first two, written if they are not there.
    config.data.manual_dir = config_dict.placeholder(str)
    config.data.use_clean_train = False
    # Or "pairflip", "blockflip"; of CIFAR-10N "worst", "aggre", "random1" to "3".
    config.data.noise = "symmetric"
    config.data.rate = 0.2
    config.data.seed = config.get_ref("seed")  # of the noise; follows `seed`
    config.data.train_size = config_dict.placeholder(int)  # first so many images
    # Of `partial` alone: which images, see data.partial. Its noise may be "image", too.
    config.data.partial = ml_collections.ConfigDict()
    config.data.partial.source = "cifar100"  # or "digits"
    config.data.partial.classes = 8
    config.data.partial.first_class = 0
    config.data.partial.images_per_class = config_dict.placeholder(int)
    config.data.partial.test_images_per_class = config_dict.placeholder(int)
    config.data.partial.ood_share = 0.0
    config.data.partial.ood_skip = 0
    config.data.partial.imbalance = 1.0
    # Whether an epoch has as many images of every given class, drawn anew each time: as
    # many as the rarest has, or at most so many.
    config.data.balanced = False
    config.data.samples_per_class = config_dict.placeholder(int)
    # Share of the training images that is not trained on, to choose and calibrate what
    # is exported; with their noisy labels.
    config.data.validation_share = 0.0

    config.batch_size = 128
    config.epochs = 200
    config.steps_per_execution = config_dict.placeholder(int)  # None: by the backend
    config.jit_compile = "auto"  # XLA; or "always", "never": see experiment.make_model
    config.precision = "float32"  # or "mixed_bfloat16", "mixed_float16"
    config.checkpoint_every = config_dict.placeholder(int)  # epochs; see RunCheckpoint

    config.network = ml_collections.ConfigDict()
    config.network.name = "cnn7"
    config.network.head = "mlp"  # or "linear"
    config.network.width = 1.0  # factor on the number of filters
    # Or "imagenet", for a ResNet or a backbone by name, see networks.by_name.
    config.network.weights = "random"

    config.augmentation = ml_collections.ConfigDict()
    config.augmentation.padding = 4
    config.augmentation.flip = True
    # Pixels a side of a random crop that the network sees; None: the whole image.
    config.augmentation.size = config_dict.placeholder(int)

    # RandAugment after the crop and the flip, of RGB images, drawn in tf.data on all
    # cores; arguments of strong_views.rand_augment.
    config.strong_views = ml_collections.ConfigDict()
    config.strong_views.enabled = False
    config.strong_views.num_ops = 2
    config.strong_views.magnitude = 0.5  # in [0, 1]
    # keras-cv's operations where it is installed; or "keras_cv", "keras".
    config.strong_views.library = "auto"

    # How Jo-SRC selects: "threshold" as in the paper, by `config.model`,
    # `config.threshold` and `config.teacher.decay`; or "trust", by `config.trust`.
    config.selection = "trust" if recipe == "adaptive" else "threshold"
    config.trust = ml_collections.ConfigDict()  # arguments of JoSRC,
    config.trust.smoothing = 0.0
    config.trust.alpha = 0.0
    config.trust.mixup = config_dict.placeholder(float)  # None: see recipes.mixup
    config.trust.judge = "teacher"  # or "student"
    config.trust.temperature = 0.5
    config.trust.unclean_weight = "confidence"  # or "one", "zero"
    config.trust.warmup_epochs = config_dict.placeholder(int)  # of LabelTrust,
    config.trust.memory_epochs = config_dict.placeholder(float)
    config.trust.sharpness = 2.0
    config.trust.rate = config_dict.placeholder(float)  # None: estimated
    config.trust.transitions = True
    config.trust.allowance = 0.5
    config.trust.hold = True
    # and of MeanTeacher; None: see recipes.teacher_decay.
    config.trust.decay = config_dict.placeholder(float)

    config.model = ml_collections.ConfigDict()  # arguments of JoSRC
    # None: by the number of classes, see schedules.smoothing_for.
    config.model.smoothing = config_dict.placeholder(float)
    config.model.smoothing = 0.6
    config.model.alpha = 0.5
    config.model.tau_ood = 0.5
    config.model.scale = 10.0
    config.model.consistency_base = 2.0
    config.model.inclusive = False
    config.model.teacher_views = "both"
    config.model.teacher_statistics = "batch"
    config.model.relabel = ("in_distribution", "out_of_distribution")
    config.model.bounded = False

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

    config.forget = ml_collections.ConfigDict()  # arguments of ForgetRate
    # None: the true share of wrong labels, out-of-distribution images included.
    config.forget.rate = config_dict.placeholder(float)
    config.forget.warmup_epochs = 10  # as in the papers of all three
    config.forget.agreeing_epochs = 5  # of Co-teaching+, as its code has for CIFAR-100

    config.jocor = ml_collections.ConfigDict()
    config.jocor.co_lambda = 0.85  # its paper's for CIFAR-100

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    # Learning rate of the head, as a factor on that of the rest.
    config.optimizer.head_factor = config_dict.placeholder(float)
    config.optimizer.arguments = ml_collections.ConfigDict()  # of the Keras optimizer
    config.optimizer.arguments.learning_rate = 1e-3
    config.optimizer.arguments.weight_decay = config_dict.placeholder(float)
    config.optimizer.arguments.clipnorm = config_dict.placeholder(float)

    config.decay = ml_collections.ConfigDict()  # arguments of LinearDecay, and
    config.decay.name = "linear"  # or "cosine": CosineDecay, which takes none of them
    config.decay.start_epoch = 80
    config.decay.beta_1 = config_dict.placeholder(float)  # of Adam, from then on
    config.decay.beta_1 = 0.1

    if recipe == "published_code":
        config.threshold.first_epoch = 0
        config.model.inclusive = True
    elif recipe == "paper_text":
        config.network.head = "linear"
        config.decay.beta_1 = None
        config.model.teacher_views = "first"
    return config.lock()
