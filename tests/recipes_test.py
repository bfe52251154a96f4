"""The recipes: what the configurations of the same name say, and that they train."""

import dataclasses
import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras import AdaptiveJoSRC, Choices, JoSRC, TrustRule, data, recipes, views
from josrc_keras.adaptive import values
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher
from josrc_keras.configs import base, digits8n_o
from josrc_keras.reproduction import budget, results, robustness, tables
from josrc_keras.runs import build_model, methods
from tests.support import models

RESULTS = Path(__file__).parents[1] / "results"
RULE = TrustRule()


def defaults(function):
    """The arguments that have a default, with it."""
    parameters = inspect.signature(function).parameters
    return {n: p.default for n, p in parameters.items() if p.default is not p.empty}


def by_class(callbacks):
    return {type(callback): callback for callback in callbacks}


def test_the_papers_values_are_those_of_its_configuration():
    """Of what they do not name, the classes' defaults are the configuration's."""
    config, recipe = base.get_config("paper"), recipes.paper()
    assert config.method == "josrc"
    arguments = defaults(JoSRC.__init__) | recipe.model
    assert arguments.pop("choices") == Choices()
    arguments |= Choices().get_config()
    for name, value in config.model.items():
        assert arguments.pop(name) == value, name
    assert arguments == {"augmentation": None}
    assert [type(each) for each in recipe.callbacks] == [CleanThreshold, MeanTeacher]
    for callback, fields in zip(
        recipe.callbacks, (config.threshold, config.teacher), strict=True
    ):
        for name, value in fields.items():
            assert getattr(callback, name) == value, name
    assert recipe.network == "student"


def test_the_papers_values_can_be_set():
    recipe = recipes.paper(
        smoothing=0.3, alpha=0.1, tau_c=0.7, tau_m=0.9, warmup_epochs=3, decay=0.8
    )
    assert recipe.model == {"smoothing": 0.3, "alpha": 0.1}
    threshold, teacher = recipe.callbacks
    assert (threshold.tau_c, threshold.tau_m, threshold.warmup_epochs) == (0.7, 0.9, 3)
    assert teacher.decay == 0.8


def test_the_adaptive_values_are_those_of_its_configuration():
    """In the rule what the model and its callback are told; and what data decide."""
    config = base.get_config("adaptive")
    assert base.get_config() == config
    assert config.method == "josrc_adaptive"
    fields = config.adaptive.to_dict()
    rule = {name: fields.pop(name) for name in RULE.get_config()}
    assert TrustRule(**rule) == RULE
    assert fields == {
        "mixup": None,
        "rate": None,
        "teacher_decay": None,
        "student_views": "both",
        "teacher_epochs": 4.0,
    }
    assert defaults(LabelTrust.__init__)["rate"] is None
    # What it shares with the paper's recipe is the model's own default.
    arguments = defaults(AdaptiveJoSRC.__init__)
    assert arguments["rule"] == RULE
    for name in ("teacher_views", "teacher_statistics"):
        assert config.model[name] == arguments[name]


def test_the_rule_is_what_was_chosen():
    """Of a configuration's page; benchmarks/choose.py compared each with others."""
    assert RULE.get_config() == {
        "smoothing": 0.0,
        "alpha": 0.0,
        "judge": "teacher",
        "temperature": 0.5,
        "unclean_weight": "confidence",
        "tau_ood": 0.5,
        "doubt": 0.5,
        "warmup_epochs": None,
        "warmup_share": 0.1,
        "memory_epochs": None,
        "memory_share": 0.25,
        "sharpness": 2.0,
        "transitions": True,
        "strength": 10.0,
        "allowance": 0.5,
        "hold": True,
        "hold_share": 0.25,
        "learnt": 0.5,
        "average": "probability",
        "leave_one_out": False,
        "balance": 0.0,
        "forgetting": 0.0,
        "negative": 0.0,
        "least_rate": 0.01,
        "most_rate": 0.9,
    }


BY_DATA = {"warmup_epochs": None, "memory_epochs": None}


@pytest.mark.parametrize(
    ("samples", "batch", "epochs"),
    [(128, 64, 4), (2000, 64, 40), (50_000, 128, 200), (64, 64, 1), (1000, 100, None)],
)
def test_the_adaptive_recipe_makes_what_its_configuration_makes(samples, batch, epochs):
    """Model arguments and callbacks, down to warm-up, memory and the teacher."""
    recipe = recipes.adaptive(
        num_classes=8, num_samples=samples, batch_size=batch, epochs=epochs
    )
    config = digits8n_o.get_config("adaptive")
    config.batch_size = batch
    blend = values.mixup(8, samples, epochs)
    rule = recipe.model["rule"]
    assert recipe.model == {"num_samples": samples, "mixup": blend, "rule": rule}
    method = methods.METHODS["josrc_adaptive"]
    made = AdaptiveJoSRC(models.linear_network(), models.CLASSES, **recipe.model)
    if epochs is not None:
        config.epochs = epochs
    model = build_model.make_model(config, 8, num_samples=samples)
    assert model.num_samples == made.num_samples == samples
    assert epochs is None or model.mixup == made.mixup == blend
    ours = by_class(recipe.callbacks)
    theirs = by_class(method.callbacks(config, range(samples), None))
    assert ours.keys() == theirs.keys() == {LabelTrust, MeanTeacher}
    first, second = ours[LabelTrust], theirs[LabelTrust]
    for callback, of in ((first, made), (second, model)):
        callback.set_params({"epochs": epochs or 30})
        callback.set_model(of)
    assert first.count == second.count == samples
    assert first.warmup() == second.warmup() == RULE.warmup(epochs or 30)
    assert first.memory_decay() == pytest.approx(second.memory_decay())
    assert first.rate is second.rate is None
    # In all else the rules agree.
    rules = (dataclasses.replace(each.rule, **BY_DATA) for each in (first, second))
    assert [*rules] == [RULE, RULE]
    for name in ("decay", "start_epoch", "ramp_up_epochs", "evaluate"):
        expected = getattr(theirs[MeanTeacher], name)
        assert getattr(ours[MeanTeacher], name) == expected
    assert ours[MeanTeacher].decay == values.teacher_decay(samples, batch)
    assert recipe.network == "teacher"


@pytest.mark.parametrize(
    ("classes", "samples", "epochs", "expected"),
    [
        (100, 50_000, 200, 1.0),
        (50, 2400, 30, 0.576),
        (10, 1000, 40, 1.0),
        (2, 100, 10, 0.2),
        (1000, 1000, None, 1.0),
    ],
)
def test_views_are_blended_less_where_few_images_of_a_class_are_seen(
    classes, samples, epochs, expected
):
    assert values.mixup(classes, samples, epochs) == pytest.approx(expected)


def test_a_configurations_adaptive_fields_reach_model_and_callbacks():
    config = digits8n_o.get_config("adaptive")
    fields = {
        "smoothing": 0.1,
        "alpha": 0.2,
        "judge": "student",
        "temperature": 0.7,
        "unclean_weight": "one",
        "tau_ood": 0.4,
        "doubt": 0.6,
        "warmup_epochs": 7,
        "warmup_share": 0.2,
        "memory_epochs": 9.0,
        "memory_share": 0.25,
        "sharpness": 2.5,
        "transitions": True,
        "strength": 12.0,
        "allowance": 0.3,
        "hold": True,
        "hold_share": 0.4,
        "learnt": 0.6,
        "average": "margin",
        "leave_one_out": True,
        "balance": 0.5,
        "forgetting": 0.2,
        "negative": 0.1,
        "least_rate": 0.02,
        "most_rate": 0.8,
    }
    further = {"mixup": 0.3, "rate": 0.4, "teacher_decay": 0.77}
    further |= {"student_views": "second", "teacher_epochs": 2.0}
    assert {*fields, *further} == set(config.adaptive.keys())
    config.adaptive.update(fields | further)
    config.model.teacher_views = "first"
    config.model.teacher_statistics = "moving"
    config.teacher.start_epoch = 3
    method = methods.METHODS["josrc_adaptive"]
    trust, teacher = method.callbacks(config, range(100), "path")
    assert method.arguments(config) == {
        "rule": TrustRule(**fields),
        "mixup": 0.3,
        "student_views": "second",
        "teacher_views": "first",
        "teacher_statistics": "moving",
    }
    model = build_model.make_model(config, 8, num_samples=100)
    assert (model.rule, model.mixup) == (TrustRule(**fields), 0.3)
    trust.set_model(model)
    assert (trust.rule, trust.rate) == (model.rule, 0.4)
    assert (trust.count, trust.path) == (100, "path")
    assert (teacher.decay, teacher.start_epoch) == (0.77, 3)


@pytest.mark.parametrize(
    ("epochs", "warmup"), [(1, 2), (4, 2), (25, 2), (40, 4), (100, 10), (200, 10)]
)
def test_the_warm_up_is_a_tenth_of_all_epochs(epochs, warmup):
    assert RULE.warmup(epochs) == warmup


def test_the_teacher_averages_over_a_few_epochs():
    """Within limits, which few or very many steps an epoch reach."""
    least, most = values.DECAYS
    steps = values.TEACHER_EPOCHS * 30
    assert values.teacher_decay(30 * 64 + 63, 64) == pytest.approx(1 - 1 / steps)
    assert values.teacher_decay(64, 64) == least
    assert values.teacher_decay(10**7, 32) == most


def test_balanced_epochs_are_what_counts():
    """Of 640 images 160 an epoch: ten steps, and a quarter of the blends."""
    labels = np.repeat(np.arange(8), [20] * 7 + [500])
    images = np.zeros((640, 8, 8, 1), "uint8")
    split = data.Split(images, labels, labels, np.arange(640))
    config = digits8n_o.get_config("adaptive")
    config.epochs, config.batch_size = 40, 16
    config.data.balanced = True
    _, teacher = methods.METHODS["josrc_adaptive"].callbacks(config, split, None)
    assert teacher.decay == pytest.approx(1 - 1 / 40)  # Four epochs of ten steps.
    model = build_model.make_model(config, 8, 10, num_samples=640)
    assert model.mixup == pytest.approx(40 * 160 / (2500 * 8))


def lit(count=48):
    """Images of which a class is two rows that are lit, and labels."""
    truth = np.arange(count) % models.CLASSES
    images = np.random.default_rng(0).integers(0, 40, (count, 8, 8, 1))
    images[np.arange(count), 2 * truth] += 200
    return images.astype("uint8"), truth


@pytest.mark.parametrize(("batch", "epochs"), [(64, 22), (100, 3)])
def test_the_lean_recipe_makes_what_its_configuration_makes(batch, epochs):
    """Model arguments, callbacks, and the optimizer with its schedule."""
    network = models.linear_network()
    recipe = recipes.lean(
        network, num_classes=8, num_samples=1000, batch_size=batch, epochs=epochs
    )
    config = digits8n_o.get_config("lean")
    config.batch_size, config.epochs = batch, epochs
    method = methods.METHODS["josrc_adaptive"]
    expected, made = method.arguments(config), dict(recipe.model)
    assert made.pop("num_samples") == 1000
    rule = made.pop("rule")
    assert (rule.warmup_epochs, rule.memory_epochs) == (
        RULE.warmup(epochs),
        RULE.memory(epochs),
    )
    assert dataclasses.replace(rule, **BY_DATA) == expected.pop("rule")
    expected.pop("teacher_statistics")  # The model's own default.
    assert made == expected
    _, teacher = recipe.callbacks
    assert teacher.decay == method.callbacks(config, range(1000), None)[1].decay
    optimizer = recipe.optimizer
    steps = epochs * -(-1000 // batch)
    theirs = build_model.make_optimizer(config, steps).get_config()
    ours = optimizer.get_config()
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing - {"name"} == {"exclude_layers"}
    assert ours["exclude_layers"] == [f"{network.layers[-1].name}/"]
    optimizer.build(network.trainable_variables)
    assert all(map(optimizer._should_use_adamw, network.trainable_variables))


def test_the_lean_recipe_needs_a_built_network():
    network = keras.Sequential([keras.layers.Dense(8)])
    with pytest.raises(ValueError, match=r"built network.*Received: 'sequential"):
        recipes.lean(network, num_classes=8, num_samples=1000, epochs=3)


@pytest.mark.parametrize("name", ["paper", "adaptive", "lean"])
def test_a_recipe_trains(name):
    """As the module's docstring has it; a quarter of the labels is wrong."""
    images, truth = lit()
    given = np.where(np.arange(48) % 16 < 4, (truth + 1) % models.CLASSES, truth)
    recipe = recipes.paper(smoothing=0.3, alpha=0.1, warmup_epochs=2)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(models.CLASSES)(x))
    sizes = {"num_classes": 4, "num_samples": 48, "batch_size": 16, "epochs": 12}
    if name == "adaptive":
        recipe = recipes.adaptive(**sizes)
    if name == "lean":
        recipe = recipes.lean(network, **sizes)
    augmentation = views.crop_and_flip(0)
    kind = JoSRC if name == "paper" else AdaptiveJoSRC
    model = kind(network, 4, augmentation=augmentation, **recipe.model)
    optimizer = recipe.optimizer or keras.optimizers.Adam(0.02)
    model.compile(optimizer, metrics=["accuracy"])
    shown = model.fit(
        images,
        given,
        batch_size=16,
        epochs=12,
        validation_data=(images, truth),
        callbacks=recipe.callbacks,
        verbose=0,
    ).history
    assert recipe.network == model.delivers  # Which is what `val_accuracy` is of.
    assert shown["val_accuracy"][-1] > 0.9
    assert np.isfinite(shown["loss"]).all()
    if name == "adaptive":
        assert shown["noise_rate"][-1] == pytest.approx(0.25, abs=0.15)
    if name != "paper":
        trust = np.asarray(model.label_trust)
        assert trust[given == truth].mean() > trust[given != truth].mean() + 0.2


REFUSED = {
    "one class": (
        {"num_classes": 1, "num_samples": 100},
        r"at least two classes\. Received: num_classes=1\.",
    ),
    "no batch": (
        {"num_classes": 2, "num_samples": 100},
        r"batch_size of at most the number of samples, 100\. Received: batch_size=128",
    ),
    "no samples": (
        {"num_classes": 2, "num_samples": 0},
        r"at most the number of samples, 0\.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_arguments_of_the_adaptive_recipe_are_refused(name):
    arguments, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        recipes.adaptive(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"tau_c": 1.5}, {"decay": 1.0}, {"warmup_epochs": -1}]
)
def test_bad_arguments_of_the_papers_recipe_are_refused(arguments):
    with pytest.raises(ValueError, match=rf"Received: .*{next(iter(arguments))}="):
        recipes.paper(**arguments)


def test_the_models_arguments_are_checked_by_the_model():
    recipe = recipes.paper(smoothing=0.9)
    with pytest.raises(ValueError, match=r"`smoothing` must be at least 0 and below"):
        JoSRC(models.linear_network(), models.CLASSES, **recipe.model)


def test_the_papers_figures_are_unchanged():
    """Every recorded run is configured today as it was, in each field it had."""
    paths, recipes_seen = sorted(RESULTS.glob("*/*/*/*.json")), set()
    assert len(paths) >= 69
    for path in paths:
        run = json.loads(path.read_text(encoding="utf-8"))["run"]
        folder = path.parents[2]
        more = {"budget": run["budget"]} if "budget" in run else {}
        makers = {
            robustness.NAME: robustness.SuiteRun,
            budget.NAME: budget.BudgetRun,
        }
        made = makers.get(folder.name, tables.Run)(
            run["dataset"],
            run["cell"],
            run["method"],
            run["recipe"],
            run["seed"],
            tables.in_order(run["overrides"]),
            **more,
        )
        assert results.path_of(folder, made) == path
        config = made.config()
        assert results.is_done(folder, made, config.to_dict())
        if run["method"] == "josrc":
            is_adaptive = run["recipe"] in ("adaptive", "lean")
            assert config.method == ("josrc_adaptive" if is_adaptive else "josrc")
        recipes_seen.add(run["recipe"])
    assert "paper" in recipes_seen


@pytest.mark.parametrize("method", ["coteaching", "josrc"])
def test_a_pretrained_network_has_a_pretrained_peer(method, monkeypatch):
    """Made as the first, weights and all; Jo-SRC's teacher is a copy and needs none."""
    made, make = [], build_model._make_network

    def spy(config, *arguments):
        weights = config.network.weights
        with config.unlocked():
            config.network.weights = "random"
        made.append(make(config, *arguments))
        config.network.weights = weights
        return made[-1]

    monkeypatch.setattr(build_model, "_make_network", spy)
    config = digits8n_o.get_config("paper")
    config.method = method
    config.network.weights = "imagenet"
    model = build_model.make_model(config, 8)
    assert model.student is made[0]
    assert len(made) == (2 if method == "coteaching" else 1)
    assert method == "josrc" or model.peer is made[1]
