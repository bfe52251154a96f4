"""What the methods of the paper's Tables 3 and 4 read, with published values.

Schedules follow the run's own number of epochs, which the authors' do not. What is
counted in epochs or steps is cut where a run is too short for it.
"""

import ml_collections
from ml_collections import config_dict


def make_small(config):
    """Sets values for about a thousand images, more than a fifth mislabelled.

    A run has about a thousand steps, fewer than the published ramps and networks.
    """
    config.cleannet.steps = 1500
    config.cleannet.centres = 8
    config.cleannet.adam_rate = 3e-4
    config.cleannet.wrong_weight = 1.0
    config.mlnt.synthetic_sets = 2
    config.mlnt.ramp_start = 100
    config.mlnt.ramp_end = 400


def add_sections(config):
    """Adds a section for each method to a configuration."""
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
    # Number of epochs on all given labels, at most a third of the run; the authors have
    # 30 for CIFAR-100.
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

    # What "pencil" reads: arguments of Pencil, and two more. The weights are those that
    # a re-implementation has for CIFAR-10 with 30% symmetric noise: with the published
    # code's alpha of 0.4 no label would ever be called wrong.
    config.pencil = ml_collections.ConfigDict()
    # Weight of the given labels, below 1 / C; None takes 0.1 / C.
    config.pencil.alpha = config_dict.placeholder(float)
    config.pencil.beta = 0.1
    # Rate of the labels in batches of 128. In others it is as large in proportion, so
    # that a sample's step is the same.
    config.pencil.label_rate = 500.0
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
    # Number of steps before the divergences count, at most an eighth of the run's.
    config.mlnt.ramp_start = 500
    # Number of steps after which they count fully, at most half of the run's.
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
    # Whether the mean of all features is subtracted; the reports do not have it.
    config.deepself.centred = True

    # What "cleannet" and "cleannet_hard" read: an argument of CleanNet, and what
    # VerifyLabels takes.
    config.cleannet = ml_collections.ConfigDict()
    # Similarity from which on a label is called clean, in [-1, 1].
    config.cleannet.threshold = 0.1
    # Share of the epochs before the similarities are found first. Not published.
    config.cleannet.start = 0.5
    # How often they are found, evenly over the rest. Not published.
    config.cleannet.rounds = 1
    # Number of steps of the second network, as published for Food-101N.
    config.cleannet.steps = 60_000
    # The most centres of a class.
    config.cleannet.centres = 32
    # Factor on the loss of labels that were found wrong, as published for Food-101N.
    config.cleannet.wrong_weight = 5.0
    # Learning rate of Adam in place of the published SGD; None takes that.
    config.cleannet.adam_rate = config_dict.placeholder(float)
    # Share of the training labels that are verified by the truth, in (0, 1), where it
    # is known and the data have no verification labels: those of benchmarks.
    config.cleannet.verified_share = 0.1
