"""A configuration as fields: compared, and with paths that hold anywhere."""

import os

from josrc_keras.data.benchmarks import encoded
from josrc_keras.runs import large_sets


def differences(before, now, *, of_new_fields=True):
    """How two configurations differ, a text for each field.

    Args:
        before: A configuration as a dict.
        now: Another one.
        of_new_fields: Whether fields that only `now` has count.

    Returns:
        A list of texts.
    """
    before, now = _without_places(before), _without_places(now)
    if not of_new_fields:
        now = {key: value for key, value in now.items() if key in before}
    return [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(before | now)
        if before.get(key) != now.get(key)
    ]


def _without_places(config):
    """The fields but for those that say where data are, not what they are.

    Of records, and of a large set, `data.json` and their own index say what they are.
    """
    fields = _flat(config)
    fields.pop("data.manual_dir", None)
    if fields.get("data.name") in (*encoded.NAMES, "records"):
        fields.pop("data.dir", None)
    return fields


def check_same(before, now, workdir):
    """Raises a `ValueError` if a run folder's configuration is another one."""
    differing = differences(before, now)
    if differing:
        changes = ", ".join(differing[:5])
        raise ValueError(
            f"The folder {workdir} holds a run of another configuration. Received: "
            f"{changes}. Resume it with its own configuration (config.json), or choose "
            "another --workdir."
        )


def _flat(config, prefix=""):
    """A nested dict with dotted keys instead."""
    flat: dict = {}
    for key, value in config.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


PATHS = {  # Fields of `config.data` that name folders to be found on resume.
    "image_folder": ("dir", "validation_dir"),
    "records": ("dir",),
    **dict.fromkeys(large_sets.NAMES, ("dir", "manual_dir")),
}


def with_absolute_paths(config):
    """Names folders so that the run finds them from any working directory."""
    names = PATHS.get(config.data.name)
    if names is None:
        return config
    config = config.copy_and_resolve_references()
    for name in names:
        if config.data[name] is not None:
            path = os.path.expanduser(config.data[name])
            config.data[name] = os.path.abspath(path)
    return config
