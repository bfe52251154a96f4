"""The fields of a configuration: upgraded, compared, and checked for effect."""

import copy
import os
from collections.abc import Sequence

import ml_collections

from josrc_keras.configs import base
from josrc_keras.data.benchmarks import encoded
from josrc_keras.runs import large_sets, methods
from josrc_keras.runs.renamed import SELECTIONS, new_name
from josrc_keras.runs.renamed import new_override as new_override
from josrc_keras.runs.renamed import recorded_name as recorded_name


def upgrade(config: dict) -> dict:
    """A configuration with today's fields, from one that any version wrote.

    - Fields that came later get the value that does what was done without them.
    - `selection` and `method` become one field.
    - `trust` becomes `adaptive`, `trust.decay` becomes `adaptive.teacher_decay`, and
      `decay` becomes `learning_rate_decay`.
    - The adaptive method gets a `tau_ood` of its own.

    Args:
        config: A configuration as a dict, as `config.json` holds it.

    Returns:
        A dict with every field of `configs/base.py`.
    """
    config = copy.deepcopy(config)
    if "adaptive" not in config:
        fields = {new_name(name): value for name, value in _flat(config).items()}
        selection = fields.pop("selection", "threshold")
        if fields.get("method") == "josrc":
            fields["method"] = SELECTIONS[selection]
            if selection == "trust" and "model.tau_ood" in fields:
                fields["adaptive.tau_ood"] = fields.pop("model.tau_ood")
        config = _nested(fields)
    defaults = base.get_config("paper").to_dict()
    return _merged(defaults, config)


def _nested(fields):
    """A nested dict of dotted keys."""
    nested: dict = {}
    for name, value in fields.items():
        *sections, key = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return nested


def _merged(defaults, config):
    """`config`, with the default for each field that it lacks, at any depth."""
    merged = defaults | config
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merged[key] = _merged(value, config[key])
    return merged


def check_effective(config: ml_collections.ConfigDict, names: Sequence[str]) -> None:
    """Refuses fields that nothing reads, given the others.

    Args:
        config: A configuration.
        names: Dotted names of fields that a user has set.

    Raises:
        ValueError: If the method does not read one of the fields.
    """
    _check_read_by_method(config, names)
    decay = [f"learning_rate_decay.{field}" for field in ("start_epoch", "beta_1")]
    noise = ("data.noise", "data.rate")
    own_labels = config.data.name in ("records", "image_folder")
    strong_views = ("num_ops", "magnitude", "library")
    conditions = (
        ("config.data.name=partial", config.data.name == "partial", ("data.partial.",)),
        (
            "config.data.balanced=True",
            config.data.balanced,
            ("data.samples_per_class",),
        ),
        (
            "config.data.name of a benchmark, whose labels are right",
            not own_labels,
            noise,
        ),
        (
            "config.data.name=image_folder",
            config.data.name == "image_folder",
            ("data.labels",),
        ),
        (
            "config.strong_views.enabled=True",
            config.strong_views.enabled,
            tuple(f"strong_views.{field}" for field in strong_views),
        ),
        (
            "config.learning_rate_decay.name=linear",
            config.learning_rate_decay.name == "linear",
            tuple(decay),
        ),
        (
            "config.learning_rate_decay.name=warmup_linear",
            config.learning_rate_decay.name == "warmup_linear",
            ("learning_rate_decay.warmup_share",),
        ),
        (
            "config.adaptive.teacher_decay=None",
            config.adaptive.teacher_decay is None,
            ("adaptive.teacher_epochs",),
        ),
    )
    for needed, holds, prefixes in conditions:
        idle = [name for name in names if name.startswith(prefixes)]
        if idle and not holds:
            raise ValueError(
                f"Expected {needed} beside {', '.join(idle)}. Received: a "
                "configuration in which nothing reads them. Leave them out."
            )


def _check_read_by_method(config, names):
    method = methods.METHODS.get(config.method)
    if method is None:  # An unknown name is refused where the model is made.
        return
    idle = [
        name
        for name in names
        if name.startswith(methods.SECTIONS) and not name.startswith(method.reads)
    ]
    if config.method == "josrc_adaptive":
        idle += [name for name in names if name == "teacher.decay"]
        fix = "Set those of config.adaptive, or take the recipe: --config=NAME:paper."
    elif config.method == "josrc":
        fix = "Set config.method=josrc_adaptive, or take the recipe adaptive."
    else:
        fix = f"It reads {' and '.join(method.reads) or 'none of these sections'}."
    if idle:
        raise ValueError(
            f"Expected fields that config.method={config.method} reads. Received: "
            f"{', '.join(idle)}, of another. {fix}"
        )


def differences(before: dict, now: dict, *, of_new_fields: bool = True) -> list[str]:
    """How two configurations differ.

    Args:
        before: A configuration as a dict.
        now: Another configuration as a dict.
        of_new_fields: Whether fields that only `now` has count.

    Returns:
        A list of texts, one for each field that differs.
    """
    before, now = _that_count(before), _that_count(now)
    if not of_new_fields:
        now = {key: value for key, value in now.items() if key in before}
    return [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(before | now)
        if before.get(key) != now.get(key)
    ]


def _that_count(config):
    """The fields without those that change nothing.

    These are the sections of other methods, and where data are: what records and large
    sets are is in `data.json` and in their own index.
    """
    fields = _flat(config)
    method = methods.METHODS.get(fields.get("method"))
    if method is not None:
        fields = {
            name: value
            for name, value in fields.items()
            if not name.startswith(methods.SECTIONS) or name.startswith(method.reads)
        }
    fields.pop("data.manual_dir", None)
    if fields.get("data.name") in (*encoded.NAMES, "records"):
        fields.pop("data.dir", None)
    return fields


def check_same(before: dict, now: dict, workdir: str | os.PathLike) -> None:
    """Raises a `ValueError` if a run folder's configuration differs from a new one."""
    differing = differences(before, now)
    if differing:
        changes = ", ".join(differing[:5])
        raise ValueError(
            f"The folder {workdir} holds a run of another configuration. Received: "
            f"{changes}. Resume it with its own configuration (config.json), or choose "
            "another --workdir."
        )


def _flat(config, prefix=""):
    """A nested dict as a flat dict with dotted keys."""
    flat: dict = {}
    for key, value in config.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


PATHS = {  # Fields of `config.data` that name folders, by the name of the dataset.
    "image_folder": ("dir", "validation_dir", "labels"),
    "records": ("dir",),
    **dict.fromkeys(large_sets.NAMES, ("dir", "manual_dir")),
}


def with_absolute_paths(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The configuration with absolute paths, which hold in any working directory."""
    names = PATHS.get(config.data.name)
    if names is None:
        return config
    config = config.copy_and_resolve_references()
    for name in names:
        if config.data[name] is not None:
            path = os.path.expanduser(config.data[name])
            config.data[name] = os.path.abspath(path)
    return config
