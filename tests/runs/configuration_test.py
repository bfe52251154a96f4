"""Configurations of before: their names on the command line, and in config.json."""

import copy
import json
from pathlib import Path

import pytest

from josrc_keras.adaptive import AdaptiveJoSRC, TrustRule
from josrc_keras.configs import base, digits8n_o
from josrc_keras.model import Choices, JoSRC
from josrc_keras.runs import build_model, configuration

BEFORE = Path(__file__).parents[1] / "before"
RESULTS = Path(__file__).parents[2] / "results"


def old_config(recipe="adaptive", **changes):
    """A `config.json` of before version 0.2, with changes of dotted fields."""
    config = json.loads((BEFORE / recipe / "config.json").read_text(encoding="utf-8"))
    for name, value in changes.items():
        *sections, key = name.split(".")
        inner = config
        for section in sections:
            inner = inner[section]
        inner[key] = value
    return config


def flat(config):
    return configuration._flat(json.loads(json.dumps(config)))


FIELDS = set(flat(base.get_config("paper").to_dict()))


@pytest.mark.parametrize("recipe", ["adaptive", "paper"])
def test_every_field_of_today_comes_out_and_no_other(recipe):
    """With the values that were set; the argument stays as it was."""
    before = old_config(recipe)
    kept = copy.deepcopy(before)
    found = configuration.upgrade(before)
    assert before == kept
    assert set(flat(found)) == FIELDS
    page = digits8n_o.get_config(recipe)
    page.update_from_flattened_dict(
        {"epochs": 3, "learning_rate_decay.start_epoch": 2, "network.width": 0.25}
        | ({"threshold.warmup_epochs": 2} if recipe == "paper" else {})
    )
    assert configuration.differences(found, json.loads(page.to_json())) == []
    page.update_from_flattened_dict({"teacher.evaluate": "student", "mlnt.ramp_end": 9})
    differing = configuration.differences(found, json.loads(page.to_json()))
    assert differing == ["teacher.evaluate: 'both' there, 'student' now"]


def test_sections_have_other_names():
    before = old_config(
        **{
            "trust.decay": 0.97,
            "trust.mixup": 0.25,
            "trust.sharpness": 3.0,
            "trust.warmup_epochs": 7,
            "decay.name": "cosine",
            "decay.start_epoch": 9,
            "teacher.decay": 0.8,
        }
    )
    found = flat(configuration.upgrade(before))
    expected = {
        "adaptive.teacher_decay": 0.97,
        "adaptive.mixup": 0.25,
        "adaptive.sharpness": 3.0,
        "adaptive.warmup_epochs": 7,
        "learning_rate_decay.name": "cosine",
        "learning_rate_decay.start_epoch": 9,
        "teacher.decay": 0.8,
    }
    assert {name: found[name] for name in expected} == expected
    assert "adaptive.decay" not in found and "decay.name" not in found


@pytest.mark.parametrize(
    ("method", "selection", "expected"),
    [
        ("josrc", "trust", "josrc_adaptive"),
        ("josrc", "threshold", "josrc"),
        ("josrc", None, "josrc"),  # Of before that field.
        ("jocor", "trust", "jocor"),
        ("standard", "threshold", "standard"),
        ("coteaching", None, "coteaching"),
    ],
)
def test_selection_and_method_are_one_field(method, selection, expected):
    before = old_config(method=method, selection=selection)
    if selection is None:
        del before["selection"]
    found = configuration.upgrade(before)
    assert found["method"] == expected
    assert "selection" not in found and "trust" not in found


def test_the_adaptive_methods_tau_ood_was_the_models():
    found = configuration.upgrade(old_config(**{"model.tau_ood": 0.3}))
    assert found["adaptive"]["tau_ood"] == 0.3
    assert found["model"]["tau_ood"] == 0.5
    found = configuration.upgrade(old_config("paper", **{"model.tau_ood": 0.3}))
    assert found["adaptive"]["tau_ood"] == 0.5
    assert found["model"]["tau_ood"] == 0.3


def test_fields_that_came_later_do_what_was_done_without_them():
    """Of the oldest records, such as were made before methods were told a rate."""
    before = old_config("paper")
    for name in ("selection", "trust", "strong_views", "jit_compile", "forget"):
        del before[name]
    del before["jocor"], before["optimizer"]["head_factor"]
    for name in ("balanced", "samples_per_class", "partial", "broken"):
        del before["data"][name]
    found = configuration.upgrade(before)
    assert flat(found) == flat(configuration.upgrade(old_config("paper")))
    assert found["method"] == "josrc" and found["strong_views"]["enabled"] is False
    assert found["data"]["balanced"] is False
    assert found["optimizer"]["head_factor"] is None


def test_arguments_of_the_optimizer_stay():
    """Which a configuration file of one's own can add."""
    before = old_config(**{"optimizer.arguments.nesterov": True})
    found = configuration.upgrade(before)
    assert found["optimizer"]["arguments"]["nesterov"] is True


@pytest.mark.parametrize("recipe", base.RECIPES)
def test_a_configuration_of_today_is_left_as_it_is(recipe):
    config = digits8n_o.get_config(recipe)
    config.model.tau_ood = 0.4
    config.adaptive.teacher_decay = 0.9
    today = json.loads(json.dumps(config.to_dict()))
    assert configuration.upgrade(today) == today
    assert configuration.upgrade(configuration.upgrade(today)) == today


def test_what_an_upgraded_configuration_makes():
    """The model that the fields said, as they were called then."""
    fields = {
        "temperature": 0.7,
        "alpha": 0.2,
        "smoothing": 0.1,
        "judge": "student",
        "unclean_weight": "one",
        "memory_epochs": 5.0,
        "hold": False,
    }
    changes = {f"trust.{name}": value for name, value in fields.items()}
    before = old_config(**changes, **{"trust.mixup": 0.3, "model.tau_ood": 0.4})
    page = digits8n_o.get_config()
    page.update(configuration.upgrade(before))
    model = build_model.make_model(page, 8, num_samples=64)
    assert type(model) is AdaptiveJoSRC
    assert model.rule == TrustRule(**fields, tau_ood=0.4)
    assert (model.mixup, model.num_samples) == (0.3, 64)
    changes = {"model.inclusive": True, "model.teacher_views": "first"}
    page.update(configuration.upgrade(old_config("paper", **changes)))
    model = build_model.make_model(page, 8)
    assert type(model) is JoSRC
    assert model.choices == Choices(inclusive=True, teacher_views="first")


def test_every_record_is_read_by_the_names_of_now():
    """Four generations of configurations are among the recorded runs."""
    paths = sorted(RESULTS.glob("*/*/*/*.json"))
    assert len(paths) >= 300
    generations = set()
    for path in paths:
        before = json.loads(path.read_text(encoding="utf-8"))["config"]
        generations.add(tuple(sorted(before)))
        found = flat(configuration.upgrade(before))
        assert set(found) == FIELDS
        now = {configuration.new_name(name) for name in flat(before)} - {"selection"}
        assert now <= FIELDS
    assert len(generations) >= 3


NAMES = {
    "trust.decay": "adaptive.teacher_decay",
    "trust.mixup": "adaptive.mixup",
    "trust.hold": "adaptive.hold",
    "decay.name": "learning_rate_decay.name",
    "decay.beta_1": "learning_rate_decay.beta_1",
}
SAME = ("seed", "teacher.decay", "data.rate", "adaptive.mixup", "model.tau_ood")


@pytest.mark.parametrize("before", NAMES)
def test_a_field_by_its_name_of_before(before):
    assert configuration.new_name(before) == NAMES[before]
    assert configuration.new_override(before, "7") == (NAMES[before], "7")
    assert configuration.recorded_name(NAMES[before]) == before


@pytest.mark.parametrize("name", SAME)
def test_a_name_of_now_stays(name):
    assert configuration.new_name(name) == name
    assert configuration.new_override(name, 1) == (name, 1)


@pytest.mark.parametrize(
    ("selection", "method"), [("trust", "josrc_adaptive"), ("threshold", "josrc")]
)
def test_an_override_of_selection_is_one_of_the_method(selection, method):
    assert configuration.new_override("selection", selection) == ("method", method)


def test_an_unknown_selection_is_refused():
    with pytest.raises(ValueError) as caught:
        configuration.new_override("selection", "history")
    assert str(caught.value) == (
        "Expected config.selection as one of ('threshold', 'trust'), or better "
        "config.method. Received: 'history'."
    )
