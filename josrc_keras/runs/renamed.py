"""Fields of a configuration by their names before version 0.2, and their names now."""

from typing import Any

# Sections and fields by their names before version 0.2, and their names now.
RENAMED = {
    "trust.decay": "adaptive.teacher_decay",
    "trust.": "adaptive.",
    "decay.": "learning_rate_decay.",
}
# Values of the former field `selection`, which chose between two methods.
SELECTIONS = {"threshold": "josrc", "trust": "josrc_adaptive"}


def new_name(name: str) -> str:
    """A field's dotted name now, from its name before version 0.2."""
    for before, now in RENAMED.items():
        if name == before or (before.endswith(".") and name.startswith(before)):
            return now + name.removeprefix(before)
    return name


def recorded_name(name: str) -> str:
    """A field's name in the names of records, which are as before version 0.2."""
    for before, now in RENAMED.items():
        if name == now or (now.endswith(".") and name.startswith(now)):
            return before + name.removeprefix(now)
    return name


def new_override(name: str, value: Any) -> tuple[str, Any]:
    """`(name, value)` of an override now, from an override before version 0.2.

    Raises:
        ValueError: If `name` is `selection` and `value` is not in `SELECTIONS`.
    """
    if name != "selection":
        return new_name(name), value
    if value not in SELECTIONS:
        raise ValueError(
            f"Expected config.selection as one of {tuple(SELECTIONS)}, or better "
            f"config.method. Received: {value!r}."
        )
    return "method", SELECTIONS[value]
