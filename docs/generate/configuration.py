"""The page of the configuration: its fields, their defaults, and what they mean.

    python docs/generate/configuration.py

prints it. A field's meaning is the comment at its line of configs/base.py; where there
is a class that gets it as an argument, what its docstring says stands first.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("adaptive", "paper", "published_code", "paper_text")


def fields():
    """`{dotted name: {recipe: default}}`, in the order of configs/base.py."""
    from josrc_keras.configs import base

    configs = {recipe: _flat(base.get_config(recipe).to_dict()) for recipe in RECIPES}
    found = {
        name: {recipe: config[name] for recipe, config in configs.items()}
        for name in configs["adaptive"]
    }
    order = list(comments())
    for section, classes in arguments().items():  # Where a section is made as a whole.
        place = order.index(section) + 1
        names = [f"{section}.{each}" for thing in classes for each in documented(thing)]
        order[place:place] = [name for name in names if name not in order]
    return dict(sorted(found.items(), key=lambda each: order.index(each[0])))


def _flat(config, prefix=""):
    flat: dict = {}
    for name, value in config.items():
        inner = isinstance(value, dict)
        flat |= (
            _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
        )
    return flat


def comments():
    """`{dotted name: comment}` of what configs/base.py assigns, first one first."""
    text = (ROOT / "configs" / "base.py").read_text(encoding="utf-8")
    at_line, alone = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            at_line[token.start[0]] = token.string.lstrip("# ")
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    found: dict = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
            if name.startswith("config."):
                lines = _above(node.lineno, alone)
                lines += range(node.lineno, node.end_lineno + 1)
                parts = [at_line[line] for line in lines if line in at_line]
                found.setdefault(name.removeprefix("config."), " ".join(parts))
    return found


def _above(line, alone):
    """The lines of the comment right above a line."""
    first = line
    while first - 1 in alone:
        first -= 1
    return list(range(first, line))


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


def documented(thing):
    """`{argument: meaning}` of a docstring's section `Args:`."""
    section = re.search(
        r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(thing) or "", re.M | re.S
    )
    entries = re.findall(
        r"^    (\w+): (.*?)(?=^    \S|\Z)", section[1] if section else "", re.M | re.S
    )
    return {name: " ".join(text.split()) for name, text in entries}


def meanings():
    """`{dotted name: meaning}` of every field, the docstring's before the comment."""
    said, of_arguments = comments(), arguments()
    found = {}
    for name in fields():
        section, _, argument = name.rpartition(".")
        classes = of_arguments.get(section, ())
        known = [documented(each).get(argument, "") for each in classes]
        known = [*[*filter(None, known)][:1], said.get(name, "")]
        found[name] = " ".join(map(_sentence, filter(None, known)))
    return found


def page():
    """The page without its introduction: a table a section."""
    defaults, meant, said, of_arguments = fields(), meanings(), comments(), arguments()
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
            *([_sentence(about)] if about else []),
            "\n".join(table),
        ]
    return "\n\n".join(parts) + "\n"


def _linked(text, classes):
    """The text with links to the classes that it names."""
    for name in (each.__name__ for each in classes):
        text = re.sub(rf"\b{name}\b", f"{{py:obj}}`.{name}`", text)
    return text


def _sentence(text):
    text = text.strip().rstrip(",:")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


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
