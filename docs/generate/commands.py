"""The page of the commands, from what each of them says with `--help`.

    python docs/generate/commands.py

writes it anew, below its introduction.
"""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"
START = "<!-- Written by docs/generate/commands.py. -->\n\n"
AND_FIELDS = "Configurations and fields: as in docs/reference/configuration.md."


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
    """What follows the introduction: a section a command, with its `--help`."""
    return "\n".join(_section(*entry) for entry in entry_points().items())


def _section(command, module):
    from josrc_keras.commands import explained, shell

    shell.require()
    text, flags = flags_of(module)
    lines = explained.text_of(command, text, flags, shell.REQUIRED, with_fields=False)
    if any(flag.name == "config" for flag in flags):
        lines += f"\n{AND_FIELDS}\n"
    return f"## {command}\n\n```text\n{lines}```\n"


def whole():
    """The whole text of docs/reference/commands.md."""
    return PAGE.read_text(encoding="utf-8").partition(START)[0] + START + page()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(whole(), encoding="utf-8")
