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
need it; docs/explanation/paper_and_code.md has the whole list of differences. The
default, `adaptive`, is our adaptive method, `config.method = "josrc_adaptive"`, which
reads `config.adaptive` instead of `config.model` and `config.threshold`.
"""

import dataclasses

import ml_collections
from ml_collections import config_dict

from josrc_keras import labels, losses, model, schedules, selection, teacher
from josrc_keras.adaptive.rule import TrustRule

RECIPES = ("adaptive", "paper", "published_code", "paper_text")


def get_config(recipe="adaptive"):
    if recipe not in RECIPES:
        raise ValueError(
            f"Unknown recipe. Received: {recipe!r}. Expected one of {RECIPES}."
        )
    config = ml_collections.ConfigDict()
    # "josrc_adaptive", our adaptive method; "josrc", the paper's; "standard" or
    # "decoupling"; or "coteaching", "coteaching_plus" or "jocor", which are told the
    # noise rate.
    config.method = "josrc_adaptive" if recipe == "adaptive" else "josrc"
    config.seed = 0
    config.deterministic = "cpu"  # or "always", "never": see runs.seeding

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
    config.jit_compile = "auto"  # XLA; or "always", "never": see runs.build_model
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

    # Of "josrc_adaptive": each field of adaptive.TrustRule, and
    config.adaptive = section_of(TrustRule())
    # how far views are blended; None: by the data, see adaptive.values.mixup,
    config.adaptive.mixup = config_dict.placeholder(float)
    # the noise rate that is told to LabelTrust; None: estimated,
    config.adaptive.rate = config_dict.placeholder(float)
    # and MeanTeacher's decay; None: by the data, see adaptive.values.teacher_decay.
    config.adaptive.teacher_decay = config_dict.placeholder(float)

    # Of "josrc": arguments of JoSRC and, among them, each field of Choices, of which
    # "josrc_adaptive" reads `teacher_views` and `teacher_statistics`.
    choices = {
        "published_code": model.Choices.published_code(),
        "paper_text": model.Choices.paper_text(),
    }
    config.model = section_of(choices.get(recipe, model.Choices()))
    # None: by the number of classes, see schedules.smoothing_for.
    config.model.smoothing = config_dict.placeholder(float)
    config.model.smoothing = labels.SMOOTHING
    config.model.alpha = losses.ALPHA
    config.model.tau_ood = selection.TAU_OOD
    config.model.scale = labels.SCALE
    config.model.relabel = selection.UNCLEAN

    config.threshold = ml_collections.ConfigDict()  # arguments of CleanThreshold
    config.threshold.tau_c = schedules.TAU_C
    config.threshold.tau_m = schedules.TAU_M
    config.threshold.warmup_epochs = schedules.WARMUP_EPOCHS
    config.threshold.first_epoch = 1

    config.teacher = ml_collections.ConfigDict()  # arguments of MeanTeacher
    config.teacher.decay = teacher.DECAY
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

    # "linear": LinearDecay with these arguments; "cosine": CosineDecay, without any.
    config.learning_rate_decay = ml_collections.ConfigDict()
    config.learning_rate_decay.name = "linear"
    config.learning_rate_decay.start_epoch = 80
    # Adam's beta_1 from then on.
    config.learning_rate_decay.beta_1 = config_dict.placeholder(float)
    config.learning_rate_decay.beta_1 = 0.1

    if recipe == "published_code":
        config.threshold.first_epoch = 0
    elif recipe == "paper_text":
        config.network.head = "linear"
        config.learning_rate_decay.beta_1 = None
    return config.lock()


def section_of(values):
    """The fields of a dataclass, an instance of which has the defaults."""
    section = ml_collections.ConfigDict()
    kinds = {"int | None": int, "float | None": float}
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if value is None:
            value = config_dict.placeholder(kinds[str(field.type)])
        section[field.name] = value
    return section
