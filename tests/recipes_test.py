"""The recipes: what the configurations of the same name say, and that they train."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, data, recipes, views
from josrc_keras.adaptive import trust, values
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher
from josrc_keras.configs import base, digits8n_o
from josrc_keras.reproduction import results, robustness, tables
from josrc_keras.runs import build_model, methods
from tests import tiny

RESULTS = Path(__file__).parents[1] / "results"
LABEL_TRUST = ("warmup_epochs", "memory_epochs", "sharpness", "rate", "transitions")
LABEL_TRUST += ("allowance", "hold")


def defaults(function):
    """The arguments that have a default, with it."""
    parameters = inspect.signature(function).parameters
    return {n: p.default for n, p in parameters.items() if p.default is not p.empty}


def by_class(callbacks):
    return {type(callback): callback for callback in callbacks}


def test_the_papers_values_are_those_of_its_configuration():
    """Of what they do not name, the classes' defaults are the configuration's."""
    config, recipe = base.get_config("paper"), recipes.paper()
    assert config.selection == "threshold"
    arguments = defaults(JoSRC.__init__) | recipe.model
    for name, value in config.model.items():
        assert arguments[name] == value, name
    assert arguments["samples"] is None
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
    """In `ADAPTIVE` what the model is told, in the callbacks all else."""
    config = base.get_config("adaptive")
    assert base.get_config() == config
    assert config.selection == "trust"
    fields = config.trust.to_dict()
    assert fields.keys() == {*recipes.ADAPTIVE, *LABEL_TRUST, "mixup", "decay"}
    assert {name: fields[name] for name in recipes.ADAPTIVE} == recipes.ADAPTIVE
    known = defaults(LabelTrust.__init__)
    assert {name: fields[name] for name in LABEL_TRUST} == {
        name: known[name] for name in LABEL_TRUST
    }
    # What it shares with the paper's recipe is the model's own default.
    arguments = defaults(JoSRC.__init__)
    for name in ("tau_ood", "teacher_views", "teacher_statistics"):
        assert config.model[name] == arguments[name]


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
    assert recipe.model == {"samples": samples, "mixup": blend, **recipes.ADAPTIVE}
    josrc = methods.METHODS["josrc"]
    if epochs is not None:
        config.epochs = epochs
        model = build_model.make_model(config, 8, num_samples=samples)
        for name, value in recipe.model.items():
            assert getattr(model, name) == value, name
    ours = by_class(recipe.callbacks)
    theirs = by_class(josrc.callbacks(config, range(samples), None))
    assert ours.keys() == theirs.keys() == {LabelTrust, MeanTeacher}
    for made in (ours, theirs):
        made[LabelTrust].set_params({"epochs": epochs or 30})
    first, second = ours[LabelTrust], theirs[LabelTrust]
    assert first.count == second.count == samples
    assert first.warmup() == second.warmup() == trust.warmup_epochs(epochs or 30)
    assert first.decay() == pytest.approx(second.decay())
    for name in LABEL_TRUST[2:]:
        assert getattr(first, name) == getattr(second, name)
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


def test_a_configurations_trust_fields_reach_model_and_callbacks():
    config = digits8n_o.get_config("adaptive")
    fields = {"alpha": 0.2, "mixup": 0.3, "judge": "student", "temperature": 0.5}
    fields |= {"smoothing": 0.1, "unclean_weight": "one", "warmup_epochs": 7}
    fields |= {
        "memory_epochs": 9.0,
        "sharpness": 2.5,
        "rate": 0.4,
        "transitions": False,
        "allowance": 0.3,
        "hold": False,
    }
    fields["decay"] = 0.77
    assert set(fields) == set(config.trust.keys())
    config.trust.update(fields)
    config.teacher.start_epoch = 3
    josrc = methods.METHODS["josrc"]
    arguments = josrc.arguments(config)
    trust, teacher = josrc.callbacks(config, range(100), "path")
    for name in recipes.ADAPTIVE:
        assert arguments[name] == fields[name]
    for name in LABEL_TRUST:
        assert getattr(trust, name) == fields[name]
    assert (trust.count, trust.path) == (100, "path")
    assert (teacher.decay, teacher.start_epoch) == (0.77, 3)


def test_a_configuration_of_before_is_the_papers():
    """Of a run folder, without the fields that came later; and another is refused."""
    config = digits8n_o.get_config("paper")
    with config.unlocked():
        del config["selection"], config["trust"]
    assert not methods.trusts(config)
    kinds = by_class(methods.METHODS["josrc"].callbacks(config, range(9), None))
    assert CleanThreshold in kinds and LabelTrust not in kinds
    for method, selection, expected in (
        ("josrc", "trust", True),
        ("josrc", "threshold", False),
        ("jocor", "trust", False),
    ):
        config = digits8n_o.get_config()
        config.method, config.selection = method, selection
        assert methods.trusts(config) is expected
    config.selection = "history"
    text = r"config\.selection as one of \('threshold', 'trust'\)\. Received: 'history'"
    with pytest.raises(ValueError, match=text):
        methods.trusts(config)


@pytest.mark.parametrize(
    ("epochs", "warmup"), [(1, 2), (4, 2), (25, 2), (40, 4), (100, 10), (200, 10)]
)
def test_the_warm_up_is_a_tenth_of_all_epochs(epochs, warmup):
    assert trust.warmup_epochs(epochs) == warmup


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
    _, teacher = methods.METHODS["josrc"].callbacks(config, split, None)
    assert teacher.decay == pytest.approx(1 - 1 / 40)  # Four epochs of ten steps.
    model = build_model.make_model(config, 8, 10, num_samples=640)
    assert model.mixup == pytest.approx(40 * 160 / (2500 * 8))


def lit(count=48):
    """Images of which a class is two rows that are lit, and labels."""
    truth = np.arange(count) % tiny.CLASSES
    images = np.random.default_rng(0).integers(0, 40, (count, 8, 8, 1))
    images[np.arange(count), 2 * truth] += 200
    return images.astype("uint8"), truth


@pytest.mark.parametrize("name", ["paper", "adaptive"])
def test_a_recipe_trains(name):
    """As the module's docstring has it; a quarter of the labels is wrong."""
    images, truth = lit()
    given = np.where(np.arange(48) % 16 < 4, (truth + 1) % tiny.CLASSES, truth)
    recipe = recipes.paper(smoothing=0.3, alpha=0.1, warmup_epochs=2)
    if name == "adaptive":
        recipe = recipes.adaptive(
            num_classes=4, num_samples=48, batch_size=16, epochs=12
        )
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(tiny.CLASSES)(x))
    augmentation = views.crop_and_flip(0)
    model = JoSRC(network, 4, augmentation=augmentation, **recipe.model)
    model.compile(keras.optimizers.Adam(0.02), metrics=["accuracy"])
    shown = model.fit(
        images,
        given,
        batch_size=16,
        epochs=12,
        validation_data=(images, truth),
        callbacks=recipe.callbacks,
        verbose=0,
    ).history
    column = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}
    assert shown[column[recipe.network]][-1] > 0.9
    assert np.isfinite(shown["loss"]).all()
    if name == "adaptive":
        assert shown["noise_rate"][-1] == pytest.approx(0.25, abs=0.15)
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
        JoSRC(tiny.linear_network(), tiny.CLASSES, **recipe.model)


def test_the_papers_figures_are_unchanged():
    """Every recorded run is configured today as it was, in each field it had."""
    paths, recipes_seen = sorted(RESULTS.glob("*/*/*/*.json")), set()
    assert len(paths) >= 69
    for path in paths:
        run = json.loads(path.read_text(encoding="utf-8"))["run"]
        folder = path.parents[2]
        make = robustness.SuiteRun if folder.name == robustness.NAME else tables.Run
        made = make(
            run["dataset"],
            run["cell"],
            run["method"],
            run["recipe"],
            run["seed"],
            tables.in_order(run["overrides"]),
        )
        assert results.path_of(folder, made) == path
        config = made.config()
        assert results.is_done(folder, made, config.to_dict())
        if run["method"] == "josrc":
            assert methods.trusts(config) == (run["recipe"] == "adaptive")
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
