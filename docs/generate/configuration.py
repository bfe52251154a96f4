"""The page of the configuration: its fields, their defaults, and what they mean.

    python docs/generate/configuration.py

prints it. A field's meaning is the comment at its line of configs/base.py; where there
is a class that gets it as an argument, what its docstring says stands first.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("adaptive", "paper", "published_code", "paper_text", "lean")


def fields():
    """`{dotted name: {recipe: default}}`, in the order of configs/base.py."""
    from josrc_keras.commands import fields as of_commands
    from josrc_keras.configs import base

    configs = {recipe: of_commands.flat(base.get_config(recipe)) for recipe in RECIPES}
    return {
        name: {recipe: config[name] for recipe, config in configs.items()}
        for name in of_commands.in_order(configs["adaptive"])
    }


def meanings():
    """`{dotted name: meaning}` of every field, as `--help` says it."""
    from josrc_keras.commands import fields as of_commands

    return {name: of_commands.meaning(name) for name in fields()}


def arguments():
    """`{section: classes and functions whose arguments its fields are}`."""
    import keras

    from josrc_keras import Choices, JoSRC, TrustRule, callbacks, data, views
    from josrc_keras.baselines import JoCoR, JointOptim, MCorrection, Pencil
    from josrc_keras.views import strong

    return {
        "adaptive": [TrustRule],
        "augmentation": [views.CropAndFlip],
        "data.partial": [data.partial],
        "forget": [callbacks.ForgetRate],
        "jocor": [JoCoR],
        "learning_rate_decay": [callbacks.LinearDecay],
        "model": [Choices, JoSRC],
        "joint_optim": [JointOptim],
        "m_correction": [MCorrection],
        "pencil": [Pencil],
        "optimizer.arguments": [keras.optimizers.Adam],
        "strong_views": [strong.rand_augment],
        "teacher": [callbacks.MeanTeacher],
        "threshold": [callbacks.CleanThreshold],
    }


def page():
    """The page without its introduction: a table a section."""
    from josrc_keras.commands import fields as of_commands

    defaults, meant, of_arguments = fields(), meanings(), arguments()
    said = of_commands.comments()
    sections: dict = {}
    for name in defaults:
        sections.setdefault(name.rpartition(".")[0], []).append(name)
    parts = []
    for section, names in sections.items():
        title = f"`config.{section}`" if section else "`config`"
        about = _linked(said.get(section, ""), of_arguments.get(section, ()))
        rows = [_row(name, defaults[name], meant[name]) for name in names]
        table = ["| field | default | meaning |", "|---|---|---|", *rows]
        parts += [
            f"## {title}",
            *([of_commands.sentence(about)] if about else []),
            "\n".join(table),
        ]
    return "\n\n".join(parts) + "\n"


def _linked(text, classes):
    """The text with links to the classes that it names."""
    for name in (each.__name__ for each in classes):
        text = re.sub(rf"\b{name}\b", f"{{py:obj}}`.{name}`", text)
    return text


def _row(name, defaults, meaning):
    usual = defaults["adaptive"]
    shown = f"`{usual!r}`"
    for recipe, value in defaults.items():
        if value != usual:
            shown += f"; {recipe}: `{value!r}`"
    return f"| `{name}` | {shown} | {meaning} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.stdout.write(page())
