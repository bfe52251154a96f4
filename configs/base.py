"""Every field that a configuration can have, with the paper's CIFAR settings.

The values are from Yao et al., "Jo-SRC: A Contrastive Approach for Combating Noisy
Labels", CVPR 2021, section 4.1, and from the published code where the paper is silent.
A field that is not listed here does not exist, so a misspelt field is an error. A
configuration file of your own can add arguments of its optimizer under
`config.unlocked()`.

Where the paper's text and its published code differ, a recipe chooses, after a colon:
`--config=cifar80n_o:published_code`.

    recipe            threshold  criterion  head    Adam's beta_1  teacher's label
    paper             epoch 1    >          mlp     0.9, then 0.1  mean of both views
    published_code    epoch 0    >=         mlp     0.9, then 0.1  mean of both views
    paper_text        epoch 1    >          linear  0.9            first view

`paper` takes the text where it speaks, and the code's choice where the paper's figures
need it. docs/explanation/paper_and_code.md has the whole list of differences. The
default, `adaptive`, is the adaptive method, `config.method = "josrc_adaptive"`, which
reads `config.adaptive` instead of `config.model` and `config.threshold`. `lean` is the
adaptive method for a small budget of arithmetic: half of its views, Muon with a short
schedule, and trust that asks the other samples, too.
docs/explanation/how_it_was_chosen.md has what that brings.
"""

import dataclasses

import ml_collections
from ml_collections import config_dict

from josrc_keras import _values
from josrc_keras.configs import _compared

RECIPES = ("adaptive", "lean", "paper", "published_code", "paper_text")
ADAPTIVE = ("adaptive", "lean")


def get_config(recipe="adaptive"):
    if recipe not in RECIPES:
        raise ValueError(
            f"Unknown recipe. Received: {recipe!r}. Expected one of {RECIPES}."
        )
    config = ml_collections.ConfigDict()
    # The method: "josrc_adaptive" (the adaptive method), "josrc" (the paper's),
    # "standard", "decoupling", or "coteaching", "coteaching_plus" or "jocor", which
    # are told the noise rate; or one of the paper's Tables 3 and 4: "f_correction",
    # "m_correction", "joint_optim", "pencil", "dividemix", "mlnt", "meta_cleaner",
    # "deepself", "cleannet" or "cleannet_hard".
    config.method = "josrc_adaptive" if recipe in ADAPTIVE else "josrc"
    # Seed of the network, of the order of the data, and of the views.
    config.seed = 0
    # Where every operation is deterministic: "cpu" (unless there is an accelerator),
    # "always" or "never".
    config.deterministic = "cpu"

    config.data = ml_collections.ConfigDict()
    # The dataset: "cifar100n_c", "cifar80n_o", "cifar8n_o", "digits8n_o", "partial",
    # "cifar10n", "cifar100n", "clothing1m", "food101n", or your own as "image_folder"
    # or "records".
    config.data.name = "cifar80n_o"
    # Folder of the photos ("image_folder") or of what `josrc-records` wrote
    # ("records"). For "clothing1m" and "food101n" it holds their records, which are
    # written if they are missing; None keeps them in the run folder.
    config.data.dir = config_dict.placeholder(str)
    # Table of the labels of photos in `dir` ("image_folder"), CSV or Parquet, with the
    # columns path and label, or an audit's `relabel.csv` or `decisions.csv`; None takes
    # class folders.
    config.data.labels = config_dict.placeholder(str)
    # Height and width that photos are scaled to, in pixels.
    config.data.image_size = 64
    # Folder of photos to report on; None sets `validation_share` of `dir` aside.
    config.data.validation_dir = config_dict.placeholder(str)
    # Photos that can't be decoded: "skip" leaves them out, "refuse" is an error.
    config.data.broken = "skip"
    # Folder of the files of Clothing1M, Food-101N or CIFAR-N that were downloaded by
    # hand; None is TensorFlow Datasets' own.
    config.data.manual_dir = config_dict.placeholder(str)
    # Whether Clothing1M's clean training list is trained on, too.
    config.data.use_clean_train = False
    # Noise kind of a benchmark: "symmetric", "pairflip" or "blockflip", for "partial"
    # also "image"; for "cifar10n" its label: "worst", "aggre", "random1", "random2" or
    # "random3". Other datasets keep the labels that they have.
    config.data.noise = "symmetric"
    # Noise rate among the in-distribution images of a benchmark, in [0, 1].
    config.data.rate = 0.2
    # Seed of the noise, and of which images are set aside; follows `seed`.
    config.data.seed = config.get_ref("seed")
    # Number of training images to keep: the first ones, of photos random ones; None
    # keeps all.
    config.data.train_size = config_dict.placeholder(int)
    # Which images "partial" has: arguments of data.partial.
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
    # The most images of a class in a balanced epoch; None takes as many of each class
    # as the rarest class has.
    config.data.samples_per_class = config_dict.placeholder(int)
    # Share of the training images that is held out, with labels as they are, to choose
    # and calibrate what is exported; of photos, the share of each class to report on.
    config.data.validation_share = 0.0

    # Images in a batch, over all devices.
    config.batch_size = 128
    # Number of epochs.
    config.epochs = 200
    # Steps that are run at a time, a divisor of the steps of an epoch; None is up to 50
    # on JAX with an accelerator, else 1.
    config.steps_per_execution = config_dict.placeholder(int)
    # Whether XLA compiles the step: "auto" (as Keras decides), "always" or "never".
    config.jit_compile = "auto"
    # Precision of the computation: "float32", "mixed_bfloat16" or "mixed_float16".
    config.precision = "float32"
    # Number of epochs from one checkpoint to the next; None saves as often as takes a
    # twentieth of the time.
    config.checkpoint_every = config_dict.placeholder(int)

    config.network = ml_collections.ConfigDict()
    # The network or backbone: a name that networks.by_name knows.
    config.network.name = "cnn7"
    # What follows the features: "mlp" (the published code's) or "linear" (the text's).
    config.network.head = "mlp"
    # Factor on the number of filters.
    config.network.width = 1.0
    # Initial weights: "random", or "imagenet" for a ResNet or a backbone.
    config.network.weights = "random"
    # What keeps these weights: "nothing"; "backbone", all but the head; or
    # "normalisation", the backbone's batch normalisation.
    config.network.frozen = "nothing"

    # Crop and flip of each view: arguments of views.CropAndFlip.
    config.augmentation = ml_collections.ConfigDict()
    config.augmentation.padding = 4
    config.augmentation.flip = True
    config.augmentation.size = config_dict.placeholder(int)

    # RandAugment of RGB images after the crop and the flip, drawn in tf.data on all
    # cores: arguments of views.strong.rand_augment.
    config.strong_views = ml_collections.ConfigDict()
    # Whether views are strong.
    config.strong_views.enabled = False
    config.strong_views.num_ops = 2
    config.strong_views.magnitude = 0.5
    config.strong_views.library = "auto"

    # What "josrc_adaptive" reads: each field of adaptive.TrustRule, and five more.
    config.adaptive = section_of(_values.TrustValues())
    # Views that the student learns from: "both", or the "second" alone.
    config.adaptive.student_views = "both"
    # How far views are blended, in [0, 1]; None follows the data, see
    # adaptive.values.mixup.
    config.adaptive.mixup = config_dict.placeholder(float)
    # The noise rate, where it is known, in [0, 1]; None estimates it.
    config.adaptive.rate = config_dict.placeholder(float)
    # The teacher's decay, in [0, 1); None follows the data and the next field, see
    # adaptive.values.teacher_decay.
    config.adaptive.teacher_decay = config_dict.placeholder(float)
    # Number of epochs that the teacher averages over, positive.
    config.adaptive.teacher_epochs = 4.0

    choices = {
        "published_code": _values.ChoiceValues.published_code(),
        "paper_text": _values.ChoiceValues.paper_text(),
    }
    # What "josrc" reads: arguments of JoSRC, among them each field of Choices.
    # "josrc_adaptive" reads `teacher_views` and `teacher_statistics`.
    config.model = section_of(choices.get(recipe, _values.ChoiceValues()))
    # None follows the number of classes, see schedules.smoothing_for.
    config.model.smoothing = config_dict.placeholder(float)
    config.model.smoothing = _values.SMOOTHING
    config.model.alpha = _values.ALPHA
    config.model.tau_ood = _values.TAU_OOD
    config.model.scale = _values.SCALE
    config.model.relabel = _values.UNCLEAN

    # The threshold of "josrc": arguments of CleanThreshold.
    config.threshold = ml_collections.ConfigDict()
    config.threshold.tau_c = _values.TAU_C
    config.threshold.tau_m = _values.TAU_M
    config.threshold.warmup_epochs = _values.WARMUP_EPOCHS
    config.threshold.first_epoch = 1

    # The mean teacher: arguments of MeanTeacher. "josrc_adaptive" has a decay of its
    # own.
    config.teacher = ml_collections.ConfigDict()
    config.teacher.decay = _values.DECAY
    config.teacher.start_epoch = 1
    config.teacher.ramp_up_epochs = 0
    config.teacher.evaluate = "both"

    # The noise rate that "coteaching", "coteaching_plus" and "jocor" are told:
    # arguments of ForgetRate.
    config.forget = ml_collections.ConfigDict()
    # None is the true share of wrong labels, out-of-distribution images included.
    config.forget.rate = config_dict.placeholder(float)
    # The papers of all three methods have 10.
    config.forget.warmup_epochs = 10
    # The code of Co-teaching+ has 5 for CIFAR-100.
    config.forget.agreeing_epochs = 5

    # What "jocor" reads.
    config.jocor = ml_collections.ConfigDict()
    config.jocor.co_lambda = 0.85

    _compared.add_sections(config)

    config.optimizer = ml_collections.ConfigDict()
    # Name of a Keras optimizer, or "convolutional_muon", Muon for convolutions, too.
    config.optimizer.name = "adam"
    # Whether weight decay is of biases and batch normalisation, too.
    config.optimizer.decay_all = True
    # Factor on the learning rate of the head; None is 1.
    config.optimizer.head_factor = config_dict.placeholder(float)
    # Arguments of the Keras optimizer.
    config.optimizer.arguments = ml_collections.ConfigDict()
    # The learning rate, before its schedule.
    config.optimizer.arguments.learning_rate = 1e-3
    # Decoupled weight decay; None is without.
    config.optimizer.arguments.weight_decay = config_dict.placeholder(float)
    # The largest norm of each weight's gradient; None does not clip.
    config.optimizer.arguments.clipnorm = config_dict.placeholder(float)

    config.learning_rate_decay = ml_collections.ConfigDict()
    # "linear" is LinearDecay with the next two fields, "cosine" is CosineDecay without,
    # "warmup_linear" is schedules.WarmupLinear with `warmup_share`.
    config.learning_rate_decay.name = "linear"
    config.learning_rate_decay.start_epoch = 80
    config.learning_rate_decay.beta_1 = config_dict.placeholder(float)
    config.learning_rate_decay.beta_1 = 0.1
    # Share of the steps in which the rate of "warmup_linear" climbs, in [0, 1).
    config.learning_rate_decay.warmup_share = 0.2

    if recipe == "lean":
        make_lean(config)
    elif recipe == "published_code":
        config.threshold.first_epoch = 0
    elif recipe == "paper_text":
        config.network.head = "linear"
        config.learning_rate_decay.beta_1 = None
    return config.lock()


def make_lean(config):
    """Sets what the recipe `lean` changes in a configuration."""
    config.adaptive.student_views = "second"
    config.adaptive.mixup = 0.5
    config.adaptive.teacher_epochs = 1.0
    config.adaptive.leave_one_out = True
    config.model.teacher_views = "first"
    config.optimizer.name = "convolutional_muon"
    config.optimizer.arguments.learning_rate = 1e-2
    config.optimizer.decay_all = False
    config.learning_rate_decay.name = "warmup_linear"


def section_of(values):
    """The section of a dataclass' fields, with the values of an instance."""
    section = ml_collections.ConfigDict()
    kinds = {"int | None": int, "float | None": float}
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if value is None:
            value = config_dict.placeholder(kinds[str(field.type)])
        section[field.name] = value
    return section
