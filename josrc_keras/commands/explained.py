"""What a command says about itself: `--help`, `--list_configs`, `--print_config`."""

import re
import sys
import textwrap

from absl import flags

from josrc_keras.commands import arguments, fields

HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")
WIDTH = 88
COMMON = {
    "--verbosity=N": "-1 shows warnings and errors, 0 the whole log, TensorFlow's "
    "included, and 1 still more. Without it the command says what matters only.",
    "--version": "Print the version of the package and exit.",
    "--help": "This text.",
}
OF_CONFIGS = {
    "--list_configs": "Print the names of the configurations, and what each is.",
    "--print_config": "Print every field as the command would use it, and exit.",
}
SAID_ELSEWHERE = ("list_configs", "print_config", "version")


def is_asked(argv):
    """Whether a command line asks for help."""
    return any(argument in HELP for argument in argv)


def text_of(name, text, own, required=(), argv=(), *, with_fields=True):
    """The whole help of a command.

    Args:
        name: The command's name.
        text: Its module's docstring: what it is for, and examples.
        own: Its flags, absl's objects.
        required: Names of the flags that it needs.
        argv: Its arguments; the fields are shown as `--config` among them has them.
        with_fields: Whether to list configurations and their fields.

    Returns:
        A text of lines of at most `WIDTH` characters, but for examples.
    """
    paragraphs = [_shown(each) for each in text.strip().split("\n\n")]
    parts = [f"{name}: {paragraphs[0]}", *paragraphs[1:], "Flags:\n"]
    for flag in sorted(own, key=lambda each: (each.name not in required, each.name)):
        if flag.name not in SAID_ELSEWHERE:
            parts[-1] += _entry(*signature(flag, required))
    has_config = any(flag.name == "config" for flag in own)
    for usage, meant in ((OF_CONFIGS if has_config else {}) | COMMON).items():
        parts[-1] += _entry(usage, meant)
    if has_config and with_fields:
        parts += [_pages(), _fields(argv)]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _shown(paragraph):
    """A paragraph of a command's docstring; examples are indented."""
    is_example = paragraph.startswith(("josrc-", "python "))
    return textwrap.indent(paragraph, "  ") if is_example else paragraph


def signature(flag, required=()):
    """`(usage, meaning)` of a flag, with its values and its default."""
    meant = " ".join((flag.help or "").split())
    choices = re.match(r"<([^>]+)>: ", meant)
    values = choices and choices[1]
    meant = meant[choices.end() :] if choices else meant
    meant, repeats = re.subn(
        r";\s*repeat this option to specify a list of values$", "", meant
    )
    meant = meant.removesuffix(" (a comma separated list)")
    if repeats and "repeated" not in meant:
        meant += " May be repeated."
    kind = {"int": "N", "float": "X", "multi int": "N"}.get(flag.flag_type(), "TEXT")
    value = "" if flag.boolean else f"={values or kind}"
    usage = f"--{'[no]' if flag.boolean else ''}{flag.name}{value}"
    shown = None if flag.default in (None, []) else flag.default_as_str
    if flag.name in required:
        meant += " Required."
    elif shown is not None:
        meant += f" Default: {shown.strip(chr(39))}."
    else:
        meant += " Default: none."
    return usage, meant


def _entry(usage, meant):
    body = textwrap.fill(
        meant,
        WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
    )
    return f"  {usage}\n{body}\n"


def _pages():
    text = "Configurations (--config=NAME, or the path of a file of your own):\n\n"
    for name, about in fields.pages().items():
        text += _entry(name, about)
    recipes = "adaptive (the default), lean, paper, published_code, paper_text."
    return text + _entry("NAME:RECIPE", f"One of its recipes: {recipes}")


def _fields(argv):
    config = next((a for a in argv if re.match("--?config=", a)), None)
    values = fields.flat(arguments.config_of(argv))
    source = config or "configs/base.py; --help with --config=NAME has those of NAME"
    text = f"Fields (--config.FIELD=VALUE). Their values here are those of {source}."
    text = textwrap.fill(text, WIDTH, break_on_hyphens=False) + "\n\n"
    for name in fields.in_order(values):
        meant = fields.meaning(name) or "A field of this configuration alone."
        text += _entry(f"--config.{name}={values[name]}", meant)
    return text


def list_configs():
    """Prints the names of the configurations, a line each."""
    found = fields.pages()
    width = max(map(len, found))
    for name, about in found.items():
        sys.stdout.write(f"{name:<{width}}  {about}\n")


def print_config(config):
    """Prints every field of a configuration, as flags that give the same."""
    values = fields.flat(config)
    for name in fields.in_order(values):
        sys.stdout.write(f"--config.{name}={values[name]}\n")


def own_flags(module, shared):
    """The flags that a command's module defines, and those it has asked for."""
    by_module = flags.FLAGS.flags_by_module_dict()
    # absl calls the module that Python started by the name of the command.
    names = dict.fromkeys((module, sys.argv[0], shared))
    return [flag for name in names for flag in by_module.get(name, ())]
