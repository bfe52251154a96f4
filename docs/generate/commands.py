"""The page of the commands, from the flags that each of them defines.

    python docs/generate/commands.py

prints it.
"""

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VALUES = re.compile(r"(?:<([^>]+)>: )?(.*)")
FLAG = re.compile(r"(?<![`\w])--[\w.=]*\w")
REPEATED = re.compile(r";\s*repeat this option to specify a list of values$")


def entry_points():
    """`{command: module}`, as setup.py has them."""
    lines = (ROOT / "setup.py").read_text(encoding="utf-8").splitlines()
    found = [line.strip().strip('",') for line in lines if ":main" in line]
    pairs = [entry.partition(" = ")[::2] for entry in found]
    return {name: target.partition(":")[0] for name, target in pairs}


def flags_of(module):
    """A command's docstring and its flags.

    Args:
        module: Name of the command's module, which defines its flags on import.

    Returns:
        The docstring, and a list of absl's flag objects in alphabetical order.
    """
    from absl import flags

    text = importlib.import_module(module).__doc__
    defined_in = flags.FLAGS.find_module_defining_flag
    own = [name for name in flags.FLAGS if defined_in(name).startswith("josrc_keras")]
    found = [flags.FLAGS[name] for name in sorted(own)]
    for name in own:  # The next command defines flags of the same names.
        delattr(flags.FLAGS, name)
    return text, found


def page():
    """The page without its introduction: a section a command."""
    return "\n\n".join(_section(*entry) for entry in entry_points().items()) + "\n"


def _section(command, module):
    text, flags = flags_of(module)
    first, _, rest = text.strip().partition("\n")
    rows = ["| flag | default | |", "|---|---|---|", *map(_row, flags)]
    return "\n".join([f"## {command}", "", first, *_paragraphs(rest), "", *rows])


def _paragraphs(text):
    """The docstring's paragraphs; those that begin with a command are code."""
    for paragraph in text.strip().split("\n\n"):
        code = paragraph.strip().startswith(("josrc-", "python "))
        yield from ["", *(["```shell", paragraph, "```"] if code else [paragraph])]


def _row(flag):
    default = flag.default not in (None, []) and flag.default_as_str.strip("'")
    meant = " ".join(flag.help.split())
    meant, repeats = REPEATED.subn("", meant)
    if repeats and "repeated" not in meant:
        meant += " May be repeated."
    values, text = VALUES.match(FLAG.sub(r"`\g<0>`", meant)).groups()
    if values:
        named = ", ".join(f"`{value}`" for value in values.split("|"))
        text = f"{named}: {text[:1].lower()}{text[1:]}"
    shown = f"`{default}`" if default else ""
    return f"| `--{flag.name}` | {shown} | {text} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.stdout.write(page())
