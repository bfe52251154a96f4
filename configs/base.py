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
adaptive method for a small budget of arithmetic: half of its views, and SGD with a
short schedule. results/budget/README.md has what that brings.
"""

import dataclasses

import ml_collections
from ml_collections import config_dict

from josrc_keras import _values

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
    # "m_correction", "joint_optim", "pencil", "dividemix", "mlnt", "meta_cleaner" or
    # "deepself".
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
    # columns path and label, or `relabel.csv` of an audit; None takes class folders.
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

    # What "f_correction" reads. Published: two trainings of the same length.
    config.f_correction = ml_collections.ConfigDict()
    # Share of the epochs before the transition matrix is estimated, in (0, 1).
    config.f_correction.estimate_at = 0.5
    # Quantile from which on samples are no anchors: published 0.97 for CIFAR-10, None
    # for CIFAR-100.
    config.f_correction.quantile = config_dict.placeholder(float)

    # What "dividemix" reads: arguments of Divide and of DivideMix, as published for
    # CIFAR-10. The schedule is not the authors', which is SGD with a rate of 0.02 over
    # 300 epochs, in batches of 64 labelled and 64 unlabelled images.
    config.dividemix = ml_collections.ConfigDict()
    # Number of epochs on all given labels; the authors have 30 for CIFAR-100.
    config.dividemix.warmup_epochs = 10
    # Weight of the unlabelled loss, which the authors chose by the noise among 0, 25,
    # 50 and 150.
    config.dividemix.unlabelled_weight = 25.0
    # Number of epochs in which that weight climbs.
    config.dividemix.ramp_epochs = 16
    # Number of epochs whose losses are averaged; the authors' code has 5 for 90% noise.
    config.dividemix.memory_epochs = 1
    # Temperature of the sharpening.
    config.dividemix.temperature = 0.5
    # Probability above which a label is clean; the authors have 0.6 for 90% noise.
    config.dividemix.threshold = 0.5
    # Parameter of the Beta distribution that images are mixed by.
    config.dividemix.concentration = 4.0
    # Whether the warm-up rewards uncertain predictions, as for asymmetric noise.
    config.dividemix.confidence_penalty = False
    # "mixmatch", or "labelled", the authors' form for Clothing1M.
    config.dividemix.form = "mixmatch"

    # What "m_correction" reads: arguments of MCorrection, and one more.
    config.m_correction = ml_collections.ConfigDict()
    config.m_correction.mixup = 32.0
    config.m_correction.eta = 1.0
    config.m_correction.soft = False
    # Share of the epochs before labels are doubted: published 105 of 300.
    config.m_correction.start = 105 / 300

    # What "joint_optim" reads: arguments of JointOptim, with the published values for
    # 70% symmetric noise, and three more.
    config.joint_optim = ml_collections.ConfigDict()
    config.joint_optim.alpha = 1.2
    config.joint_optim.beta = 0.8
    config.joint_optim.prior = config_dict.placeholder(tuple)
    # Number of epochs whose predictions make the labels.
    config.joint_optim.memory = 10
    # Share of the epochs before labels are replaced: published 70 of 320.
    config.joint_optim.start = 70 / 320
    # Share of the epochs before the network starts anew: published 200 of 320.
    config.joint_optim.second_stage = 200 / 320

    # What "pencil" reads: arguments of Pencil, with the published code's for CIFAR-10
    # and batches of 128, and two more.
    config.pencil = ml_collections.ConfigDict()
    config.pencil.alpha = 0.4
    config.pencil.beta = 0.1
    config.pencil.label_rate = 600.0
    config.pencil.scale = 10.0
    config.pencil.double_softmax = False
    # Share of the epochs before labels are corrected: published 70 of 320.
    config.pencil.correct_from = 70 / 320
    # Share of the epochs before labels are fixed: published 200 of 320.
    config.pencil.fixed_from = 200 / 320

    # What "mlnt" reads: arguments of MLNT, as published for Clothing1M. The schedule is
    # not the authors', which is SGD with a rate of 0.0008 over one epoch, in batches of
    # 32. Their teacher's decay is `config.teacher.decay`, and 0.999 after 2000 steps.
    config.mlnt = ml_collections.ConfigDict()
    # Number of sets of replaced labels in a step.
    config.mlnt.synthetic_sets = 10
    # Share of the labels that are replaced.
    config.mlnt.synthetic_share = 0.5
    # Size of the virtual step.
    config.mlnt.meta_rate = 0.02
    # Factor on the divergences; the authors' code has 1 / C.
    config.mlnt.consistency_weight = 1.0
    # Number of steps before the divergences count.
    config.mlnt.ramp_start = 500
    # Number of steps after which they count fully.
    config.mlnt.ramp_end = 2000
    # Whether the virtual step's gradient is taken as a constant.
    config.mlnt.first_order = False

    # What "meta_cleaner" reads: arguments of MetaCleaner. No value was published in a
    # form that could be checked.
    config.meta_cleaner = ml_collections.ConfigDict()
    # Images a group, a divisor of `batch_size`.
    config.meta_cleaner.group = 4
    # Units of the hidden layer that weighs the images of a group.
    config.meta_cleaner.hidden = 128
    # Weight of the cross-entropy on single images, which the paper does not have.
    config.meta_cleaner.plain_weight = 0.0

    # What "deepself" reads: arguments of CorrectLabels, and the alpha of DeepSelf, as
    # reports of others have them. The schedule is not the authors', which is SGD with a
    # rate of 0.002 over 15 epochs on Clothing1M.
    config.deepself = ml_collections.ConfigDict()
    # Weight of the corrected label, in [0, 1].
    config.deepself.alpha = 0.5
    # First epoch that learns from corrected labels, counted from 1.
    config.deepself.start_epoch = 2
    # The most images of a class among which prototypes are chosen.
    config.deepself.samples = 1280
    # The most prototypes of a class.
    config.deepself.count = 8
    # Share of a class's pairs that count as not alike.
    config.deepself.quantile = 0.6

    config.optimizer = ml_collections.ConfigDict()
    # Name of a Keras optimizer.
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
    config.model.teacher_views = "first"
    config.optimizer.name = "sgd"
    config.optimizer.arguments.learning_rate = 0.1
    config.optimizer.arguments.momentum = 0.9
    config.optimizer.arguments.nesterov = True
    config.optimizer.arguments.weight_decay = 5e-3
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
