"""What the fields of a configuration mean, by the comments of the pages that set them.

A field without a comment is an argument of a class of the package, and its docstring
says what it means. Both are read as texts: nothing is imported.
"""

import ast
import functools
import inspect
import io
import re
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PAGES = ("../configs/base.py", "../configs/_compared.py")
# Where the arguments are documented that a section's fields are.
DOCUMENTED = {
    "adaptive": ("adaptive/rule.py", ("TrustRule",)),
    "augmentation": ("views/weak.py", ("CropAndFlip",)),
    "data.partial": ("data/benchmarks/partial.py", ("partial",)),
    "forget": ("../callbacks/forget_rate.py", ("ForgetRate",)),
    "jocor": ("baselines/jocor.py", ("JoCoR",)),
    "joint_optim": ("baselines/joint_optim.py", ("JointOptim",)),
    "m_correction": ("baselines/m_correction.py", ("MCorrection",)),
    "pencil": ("baselines/pencil.py", ("Pencil",)),
    "learning_rate_decay": ("../callbacks/linear_decay.py", ("LinearDecay",)),
    "model": ("model.py", ("Choices", "JoSRC")),
    "strong_views": ("views/strong.py", ("rand_augment",)),
    "teacher": ("../callbacks/mean_teacher.py", ("MeanTeacher",)),
    "threshold": ("../callbacks/clean_threshold.py", ("CleanThreshold",)),
}


def path_of(place):
    """The path of a file of the package, by its path below `josrc_keras`."""
    inner = PACKAGE / place.removeprefix("../")  # As installed.
    return inner if inner.exists() else PACKAGE / place  # As in a checkout.


@functools.cache
def comments():
    """`{dotted name: comment}` of what `PAGES` assign, first one first."""
    found: dict = {}
    for page in PAGES:
        for name, text in _comments_of(path_of(page)).items():
            found[name] = found.get(name) or text
    return found


def _comments_of(path):
    text = path.read_text(encoding="utf-8")
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
                lines += range(node.lineno, (node.end_lineno or node.lineno) + 1)
                parts = [at_line[line] for line in lines if line in at_line]
                name = name.removeprefix("config.")
                found[name] = found.get(name) or " ".join(parts)
    return found


def _above(line, alone):
    """The lines of the comment right above a line."""
    first = line
    while first - 1 in alone:
        first -= 1
    return list(range(first, line))


@functools.cache
def documented(section):
    """`{argument: meaning}` of what a section's fields are arguments of."""
    if section not in DOCUMENTED:
        return {}
    place, names = DOCUMENTED[section]
    tree = ast.parse(path_of(place).read_text(encoding="utf-8"))
    found: dict = {}
    for name in names:
        (node,) = (each for each in tree.body if getattr(each, "name", None) == name)
        for argument, text in _arguments(ast.get_docstring(node) or "").items():
            found.setdefault(argument, text)
    return found


def _arguments(docstring):
    """`{argument: meaning}` of a docstring's section `Args:`."""
    section = re.search(
        r"^Args:\n(.*?)(?=^\S|\Z)", inspect.cleandoc(docstring), re.M | re.S
    )
    entries = re.findall(
        r"^    (\w+): (.*?)(?=^    \S|\Z)", section[1] if section else "", re.M | re.S
    )
    return {name: " ".join(text.split()) for name, text in entries}


def meaning(name):
    """What a field means, by its dotted name; empty if nobody has said it."""
    section, _, argument = name.rpartition(".")
    known = [documented(section).get(argument, ""), comments().get(name, "")]
    return " ".join(sentence(text) for text in known if text)


def sentence(text):
    """A comment as a sentence."""
    text = text.strip().rstrip(",:")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def flat(config, prefix=""):
    """A nested dict or configuration as a flat dict with dotted keys."""
    found: dict = {}
    for name, value in config.items():
        inner = hasattr(value, "items")
        full = f"{prefix}{name}"
        found |= flat(value, f"{full}.") if inner else {full: value}
    return found


def in_order(names):
    """The dotted names in the order of `PAGES`, others at the end."""
    order: list = []
    for name in comments():
        order.append(name)  # Where a section is made as a whole, its arguments follow.
        inner = [f"{name}.{argument}" for argument in documented(name)]
        order += [each for each in inner if each not in comments()]
    places = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(order)), name))


def pages():
    """`{name: what it is}` of the configurations that come with the package."""
    folder = path_of("../configs/base.py").parent
    found = {}
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = text.partition("\n")[0]
    return found
