"""The configurations: what each recipe is, by name, by flag and in the model."""

import importlib

import keras
import pytest
from absl import flags
from ml_collections import config_flags

from josrc_keras import AdaptiveJoSRC, JoSRC, TrustRule, data
from josrc_keras.adaptive import values as adaptive_values
from josrc_keras.callbacks import CleanThreshold, LabelTrust, LinearDecay, MeanTeacher
from josrc_keras.commands import arguments as of_commands
from josrc_keras.configs import base
from josrc_keras.runs import build_callbacks, build_model, train
from josrc_keras.training import muon

NAMES = ("base", "cifar100n_c", "cifar80n_o", "cifar8n_o", "digits8n_o", "image_folder")

# The table of configs/base.py, and README.md's list of differences.
RECIPES = {
    "adaptive": (1, False, "mlp", 0.1, "both", "josrc_adaptive"),
    "lean": (1, False, "mlp", 0.1, "first", "josrc_adaptive"),
    "paper": (1, False, "mlp", 0.1, "both", "josrc"),
    "published_code": (0, True, "mlp", 0.1, "both", "josrc"),
    "paper_text": (1, False, "linear", None, "first", "josrc"),
}
LEAN = {"student_views": "second", "mixup": 0.5, "teacher_epochs": 1.0}
LEAN |= {"leave_one_out": True}
PAPERS = tuple(name for name in RECIPES if name not in ("adaptive", "lean"))


def chosen(config):
    return (
        config.threshold.first_epoch,
        config.model.inclusive,
        config.network.head,
        config.learning_rate_decay.beta_1,
        config.model.teacher_views,
        config.method,
    )


def get_config(name, *recipe):
    module = importlib.import_module(f"josrc_keras.configs.{name}")
    return module.get_config(*recipe)


def parse(*arguments):
    """The configuration that a command line makes."""
    argv = of_commands.with_config_paths(["josrc-train", *arguments])
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file(
        "config", flag_values=values, sys_argv=argv
    )
    values(argv)
    return config.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_what_the_table_says(name, recipe):
    """In every file, which may set the head, as the digits do; and nothing else."""
    config, paper = get_config(name, recipe), get_config(name, "paper")
    expected = list(RECIPES[recipe])
    if name == "digits8n_o":
        expected[2] = "linear"
    if name == "image_folder" and recipe != "paper_text":
        expected[2] = None  # It follows the network.
    assert list(chosen(config)) == expected
    assert config.is_locked
    assert get_config(name) == get_config(name, "adaptive")  # The default.
    for other in (config, paper):
        with other.unlocked():
            for part, field in (
                ("threshold", "first_epoch"),
                ("model", "inclusive"),
                ("network", "head"),
                ("learning_rate_decay", "beta_1"),
                ("model", "teacher_views"),
            ):
                del other[part][field]
            del other["method"]
            if recipe == "lean":
                del other["optimizer"]
                for field in LEAN:
                    del other["adaptive"][field]
                del other["learning_rate_decay"]["name"]
    assert config == paper


def test_the_recipe_lean():
    """Muon, a rate that changes with each step, half of the views, other samples."""
    config = get_config("cifar80n_o", "lean")
    optimizer = build_model.make_optimizer(config, 100)
    assert type(optimizer) is muon.ConvolutionalMuon
    assert optimizer.exclude_layers == ["logits"]
    assert not config.optimizer.decay_all
    assert config.learning_rate_decay.name == "warmup_linear"
    ordinary = get_config("cifar80n_o", "adaptive").adaptive
    assert {name: config.adaptive[name] for name in LEAN} == LEAN
    assert {name for name in ordinary if ordinary[name] != config.adaptive[name]} == {
        *LEAN
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_recipe_is_refused(name):
    with pytest.raises(ValueError) as caught:
        get_config(name, "papers")
    assert str(caught.value) == (
        "Unknown recipe. Received: 'papers'. Expected one of ('adaptive', 'lean', "
        "'paper', 'published_code', 'paper_text')."
    )


def test_the_list_of_recipes_is_whole():
    assert tuple(RECIPES) == base.RECIPES


@pytest.mark.parametrize("recipe", PAPERS)
def test_a_recipe_reaches_model_and_callbacks(recipe, tmp_path):
    """By the name in `--config`; a quarter of the filters, the whole head."""
    config = parse(f"--config=cifar8n_o:{recipe}")
    first_epoch, inclusive, head, beta_1, teacher_views, _ = RECIPES[recipe]
    model = train.make_model(config, 8)
    assert type(model) is JoSRC
    choices = model.choices
    assert (choices.inclusive, choices.teacher_views) == (inclusive, teacher_views)
    assert model.teacher_views == teacher_views
    assert model.relabel == ("in_distribution", "out_of_distribution")
    names = [layer.name for layer in model.student.layers]
    assert ("hidden" in names) == (head == "mlp")
    assert model.student.get_layer("conv1").filters == 16
    split = data.digits8n_o(train_size=64).train
    found = build_callbacks.make_callbacks(config, tmp_path, split)
    callbacks = {type(callback): callback for callback in found}
    assert callbacks[CleanThreshold].first_epoch == first_epoch
    assert LabelTrust not in callbacks
    assert callbacks[LinearDecay].beta_1 == beta_1
    assert callbacks[LinearDecay].learning_rate == pytest.approx(
        float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    )


@pytest.mark.parametrize("flag", ["", ":adaptive"])
def test_the_default_reaches_model_and_callbacks(flag, tmp_path):
    """And its fields can be set; those that are left out are the recipe's own."""
    fields = ["--config.adaptive.mixup=0.25", "--config.adaptive.sharpness=3"]
    config = parse(f"--config=cifar8n_o{flag}", *fields)
    model = train.make_model(config, 8, num_samples=64)
    assert type(model) is AdaptiveJoSRC
    assert (model.num_samples, model.mixup) == (64, 0.25)
    assert model.rule == TrustRule(sharpness=3.0)
    config.batch_size = 16
    split = data.digits8n_o(train_size=64).train
    found = build_callbacks.make_callbacks(config, tmp_path, split)
    callbacks = {type(callback): callback for callback in found}
    assert CleanThreshold not in callbacks
    trust = callbacks[LabelTrust]
    trust.set_model(model)
    assert (trust.count, trust.rate, trust.rule) == (64, None, model.rule)
    assert callbacks[MeanTeacher].decay == adaptive_values.teacher_decay(64, 16)
    assert callbacks[LinearDecay].beta_1 == 0.1


@pytest.mark.parametrize("recipe", RECIPES)
def test_flags_override_a_recipe(recipe):
    """Whether or not the recipe has a value there."""
    config = parse(
        f"--config=digits8n_o:{recipe}",
        "--config.learning_rate_decay.beta_1=0.4",
        "--config.model.relabel=('in_distribution',)",
        "--config.network.width=2",
        "--config.steps_per_execution=3",
        "--config.checkpoint_every=5",
    )
    assert config.learning_rate_decay.beta_1 == 0.4
    assert config.model.relabel == ("in_distribution",)
    assert config.network.width == 2.0 and isinstance(config.network.width, float)
    assert (config.steps_per_execution, config.checkpoint_every) == (3, 5)
    assert config.threshold.first_epoch == RECIPES[recipe][0]
    nothing = parse(f"--config=digits8n_o:{recipe}", "--config.model.relabel=()")
    assert nothing.model.relabel == ()
