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
    # The method: "josrc_adaptive", our adaptive one; "josrc", the paper's; "standard"
    # or "decoupling"; or "coteaching", "coteaching_plus" or "jocor", which are told the
    # noise rate.
    config.method = "josrc_adaptive" if recipe == "adaptive" else "josrc"
    config.seed = 0  # Seed of weights, order and views.
    # Where every operation is deterministic: on the "cpu", "always" or "never". It
    # costs an accelerator speed.
    config.deterministic = "cpu"

    config.data = ml_collections.ConfigDict()
    # The dataset: the name of a benchmark, or "records" or "image_folder", whose labels
    # are as they are in their folder: `noise` and `rate` have no effect on them.
    config.data.name = "cifar80n_o"
    # The folder of photos, or the one that `josrc-records` wrote. Clothing1M and
    # Food-101N keep their records there; None takes the run folder.
    config.data.dir = config_dict.placeholder(str)
    config.data.image_size = 64  # Pixels a side that photos are scaled to.
    # Folder of photos to report on; None sets `validation_share` of `dir` aside.
    config.data.validation_dir = config_dict.placeholder(str)
    # What happens to photos that can't be decoded: "skip" or "refuse".
    config.data.broken = "skip"
    # Where TensorFlow Datasets finds what was downloaded by hand, for Clothing1M,
    # Food-101N and CIFAR-N.
    config.data.manual_dir = config_dict.placeholder(str)
    # Whether Clothing1M's clean training list is trained on, too.
    config.data.use_clean_train = False
    # Kind of label noise: "symmetric", "pairflip" or "blockflip"; for CIFAR-10N
    # "worst", "aggre", "random1", "random2" or "random3"; for `partial` also "image".
    config.data.noise = "symmetric"
    config.data.rate = 0.2  # Share of wrong labels among the in-distribution images.
    config.data.seed = config.get_ref("seed")  # Seed of the noise; it follows `seed`.
    # Number of training images, the first ones; None takes all.
    config.data.train_size = config_dict.placeholder(int)
    # Which images the dataset "partial" has: arguments of data.partial.
    config.data.partial = ml_collections.ConfigDict()
    config.data.partial.source = "cifar100"
    config.data.partial.classes = 8
    config.data.partial.first_class = 0
    config.data.partial.images_per_class = config_dict.placeholder(int)
    config.data.partial.test_images_per_class = config_dict.placeholder(int)
    config.data.partial.ood_share = 0.0
    config.data.partial.ood_skip = 0
    config.data.partial.imbalance = 1.0
    # Whether an epoch has equally many images of every given class, drawn anew each
    # time.
    config.data.balanced = False
    # With `balanced`: the most images of a class; None takes the rarest class's number.
    config.data.samples_per_class = config_dict.placeholder(int)
    # Share of the training images that is not trained on, to choose and calibrate what
    # is exported; with their noisy labels.
    config.data.validation_share = 0.0

    config.batch_size = 128  # Images a batch, over all devices.
    config.epochs = 200  # Number of epochs in all.
    # Steps that run without a return to Python; None leaves it to the backend.
    config.steps_per_execution = config_dict.placeholder(int)
    # Whether XLA compiles the whole step: "always", "never", or "auto": Keras decides.
    config.jit_compile = "auto"
    # What the network computes in: "float32", "mixed_bfloat16" or "mixed_float16".
    config.precision = "float32"
    # Epochs between checkpoints; None saves as often as costs a twentieth of the time.
    config.checkpoint_every = config_dict.placeholder(int)

    config.network = ml_collections.ConfigDict()
    # "cnn7", "digits_cnn", "resnet18", "resnet50", or a backbone: "keras_hub:PRESET" or
    # "keras_applications:MODEL".
    config.network.name = "cnn7"
    config.network.head = "mlp"  # The layers behind the features: "mlp" or "linear".
    config.network.width = 1.0  # Factor on the number of filters.
    # "random", or for a ResNet or a backbone "imagenet".
    config.network.weights = "random"

    config.augmentation = ml_collections.ConfigDict()
    config.augmentation.padding = 4
    config.augmentation.flip = True
    config.augmentation.size = config_dict.placeholder(int)

    # RandAugment after the crop and the flip, of RGB images, drawn in tf.data on all
    # cores: arguments of views.strong.rand_augment.
    config.strong_views = ml_collections.ConfigDict()
    config.strong_views.enabled = False  # Whether there are strong views.
    config.strong_views.num_ops = 2
    config.strong_views.magnitude = 0.5
    config.strong_views.library = "auto"

    # What "josrc_adaptive" reads: each field of TrustRule, and three values more.
    config.adaptive = section_of(TrustRule())
    # How far views are blended, in [0, 1]; None derives it from the data, see
    # adaptive.values.mixup.
    config.adaptive.mixup = config_dict.placeholder(float)
    # The noise rate that LabelTrust is told, in [0, 1]; None estimates it.
    config.adaptive.rate = config_dict.placeholder(float)
    # The mean teacher's decay, in [0, 1); None derives it from the data, see
    # adaptive.values.teacher_decay.
    config.adaptive.teacher_decay = config_dict.placeholder(float)

    choices = {
        "published_code": model.Choices.published_code(),
        "paper_text": model.Choices.paper_text(),
    }
    # What "josrc" reads: arguments of JoSRC, and each field of Choices, of which
    # "josrc_adaptive" reads `teacher_views` and `teacher_statistics`, too.
    config.model = section_of(choices.get(recipe, model.Choices()))
    # None derives it from the number of classes, see schedules.smoothing_for.
    config.model.smoothing = config_dict.placeholder(float)
    config.model.smoothing = labels.SMOOTHING
    config.model.alpha = losses.ALPHA
    config.model.tau_ood = selection.TAU_OOD
    config.model.scale = labels.SCALE
    config.model.relabel = selection.UNCLEAN

    config.threshold = ml_collections.ConfigDict()  # Arguments of CleanThreshold.
    config.threshold.tau_c = schedules.TAU_C
    config.threshold.tau_m = schedules.TAU_M
    config.threshold.warmup_epochs = schedules.WARMUP_EPOCHS
    config.threshold.first_epoch = 1

    config.teacher = ml_collections.ConfigDict()  # Arguments of MeanTeacher.
    config.teacher.decay = teacher.DECAY
    config.teacher.start_epoch = 1
    config.teacher.ramp_up_epochs = 0
    config.teacher.evaluate = "both"

    config.forget = ml_collections.ConfigDict()  # Arguments of ForgetRate.
    # None takes the true share of wrong labels, out-of-distribution images included.
    config.forget.rate = config_dict.placeholder(float)
    config.forget.warmup_epochs = 10
    config.forget.agreeing_epochs = 5  # Its published code has 5 for CIFAR-100.

    config.jocor = ml_collections.ConfigDict()  # An argument of JoCoR.
    config.jocor.co_lambda = 0.85

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"  # The name of a Keras optimizer.
    # Learning rate of the head, as a factor on that of the rest.
    config.optimizer.head_factor = config_dict.placeholder(float)
    config.optimizer.arguments = ml_collections.ConfigDict()  # The optimizer's.
    config.optimizer.arguments.learning_rate = 1e-3
    config.optimizer.arguments.weight_decay = config_dict.placeholder(float)
    config.optimizer.arguments.clipnorm = config_dict.placeholder(float)

    # How the learning rate falls: arguments of LinearDecay. CosineDecay takes none.
    config.learning_rate_decay = ml_collections.ConfigDict()
    config.learning_rate_decay.name = "linear"  # "linear" or "cosine".
    config.learning_rate_decay.start_epoch = 80
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
