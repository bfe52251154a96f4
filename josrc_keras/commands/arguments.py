"""The arguments of a command line: names resolved, and errors in words of our own."""

import difflib
import importlib.util
import os
import re
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import fields

TYPES = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}
CONFIG = re.compile("--?config[.]")
DEFINED = re.compile(r"flags\.DEFINE_\w+\(\s*\"(\w+)\"")
ALIAS = re.compile(r"flags\.DEFINE_alias\(\"(\w+)\"")
SHARED: dict[str, tuple[str, ...]] = {
    "define_config_flag": ("config",),
    "define_strategy_flags": ("strategy", "logical_devices"),
}


def with_names_of_now(argv):
    """Replaces field names from before version 0.2 in flags, with a warning."""
    renamed = []
    for argument in argv:
        flag, equals, value = argument.partition("=")
        prefix = CONFIG.match(flag)
        if prefix is None or not equals:
            renamed.append(argument)
            continue
        start = prefix[0]
        from josrc_keras.runs import renamed as names

        name = flag.removeprefix(start)
        name, value = names.new_override(name, value)
        now = f"{start}{name}={value}"
        if now != argument:
            logging.warning(
                "%s will go with version 0.2. Use %s instead.", argument, now
            )
        renamed.append(now)
    return renamed


def with_config_paths(argv):
    """Replaces the name of a configuration in `--config=NAME` with its path."""
    resolved = []
    follows = False
    for argument in argv:
        flag, equals, value = argument.partition("=")
        if follows:
            argument = _config_path(argument)
        elif flag in ("--config", "-config") and equals:
            argument = f"{flag}={_config_path(value)}"
        follows = argument in ("--config", "-config")
        resolved.append(argument)
    return resolved


def _config_path(value):
    """The path of a configuration; a name that comes with the package goes first.

    A file of that name in the working directory is no configuration, and would run as
    code: a path has a separator or ends in `.py`.
    """
    file, colon, argument = value.partition(":")
    names = list(fields.pages())
    if file in names:
        return f"{fields.path_of(f'../configs/{file}.py')}{colon}{argument}"
    separators = [each for each in (os.sep, os.altsep) if each]
    if file.endswith(".py") or any(each in file for each in separators):
        return value
    near = difflib.get_close_matches(file, names, 1)
    fix = f" Did you mean --config={near[0]}?" if near else ""
    raise ValueError(
        f"Unknown configuration. Received: --config={file}. Expected the path of "
        f"a Python file, or one of {', '.join(names)}.{fix}"
    )


def load(value):
    """The configuration of `--config=VALUE`.

    Raises:
        ValueError: If there is none of that name, or it can't be read.
    """
    path, colon, recipe = _config_path(value).partition(":")
    spec = importlib.util.spec_from_file_location("josrc_config_page", path)
    if spec is None or spec.loader is None:
        raise ValueError(
            f"Expected --config as a Python file. Received: {value}. Name one that "
            "ends in .py."
        )
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    return page.get_config(*([recipe] if colon else []))


def config_of(argv):
    """The configuration that a command line names, else the one of configs/base.py."""
    named = next((a for a in argv if re.match("--?config=", a)), None)
    if named is not None:
        return load(named.partition("=")[2])
    from josrc_keras.configs import base

    return base.get_config()


def explained(error, argv):
    """The error of our own in place of one of absl or ml_collections.

    Args:
        error: What parsing `argv` raised.
        argv: The arguments, resolved.

    Returns:
        A `ValueError` that says what was received, what was expected and the fix.
    """
    lines = str(error).strip().splitlines()
    if any(line.startswith("Traceback") for line in lines):
        # A configuration file's own error: its last line says what it is.
        return ValueError(f"{lines[0]} {lines[-1]}")
    config = config_of(argv)
    if isinstance(error, flags.UnrecognizedFlagError):
        return _unknown_flag(error.flagname, argv, config)
    if isinstance(error, KeyError | AttributeError):
        return _unknown_field(argv, config)
    text = " ".join(" ".join(lines).split())
    missing = re.search(r"Missing value for flag (\S+)", text)
    if missing:
        return ValueError(
            f"Expected a value for {missing[1]}. Received: none. Write "
            f"{missing[1]}={_example(missing[1].lstrip('-'), config)}."
        )
    illegal = re.match(r"flag --([\w.]+)=(.*?): (.*)", text, re.S)
    if illegal:
        name, value, reason = illegal.groups()
        return _bad_value(name, value, reason, config)
    return ValueError(text)


def _unknown_flag(name, argv, config):
    """Says which flags there are that a user may have meant."""
    given = [a for a in argv if re.match(rf"--?(no)?{re.escape(name)}(=|$)", a)]
    own = [each for each in flags.FLAGS if _is_own(each)]
    hints = [f"--{near}" for near in difflib.get_close_matches(name, own, 1, 0.7)]
    if "config" in own:
        like = _fields_like(name, fields.flat(config))
        hints += [f"--config.{field}" for field in like[:2]]
    hint = f" Did you mean {' or '.join(hints)}?" if hints else ""
    others = [command for command, theirs in of_commands().items() if name in theirs]
    if others:
        hint += f" --{name} is a flag of {', '.join(others)}."
    return ValueError(
        f"Unknown flag. Received: {(given or [f'--{name}'])[0]}. Expected one of "
        f"{', '.join(f'--{each}' for each in sorted(own))}.{hint} --help explains them."
    )


def _is_own(name):
    module = str(flags.FLAGS.find_module_defining_flag(name))
    return module == "__main__" or not module.startswith(("absl", "ml_collections"))


def of_commands():
    """`{command: names of its flags}`, read from the files of the commands."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\ndef main():" in text:
            names = [*DEFINED.findall(text), *ALIAS.findall(text)]
            for function, shared in SHARED.items():
                names += shared if f"shell.{function}(" in text else ()
            found[f"josrc-{path.stem}"] = names
    return found


def _unknown_field(argv, config):
    """Says which field of the configuration a user may have meant."""
    known = fields.flat(config)
    for argument in argv:
        name = CONFIG.sub("", argument.partition("=")[0])
        if not CONFIG.match(argument) or name in known:
            continue
        near = _fields_like(name, known)[:3]
        fix = " or ".join(f"--config.{each}" for each in near)
        fix = f"Did you mean {fix}?" if near else "--help lists them all."
        return ValueError(
            f"The configuration has no such field. Received: {argument}. Expected a "
            f"field that its file sets. {fix}"
        )
    given = " ".join(a for a in argv if CONFIG.match(a))
    return ValueError(
        f"The configuration has no such field. Received: {given}. Expected fields "
        "that its file sets. --help lists them all."
    )


def _fields_like(name, known):
    """Dotted names among `known` that resemble a name, the likeliest first."""
    section, _, last = name.rpartition(".")
    ends = {each.rpartition(".")[2] for each in known}
    like = difflib.get_close_matches(last, ends, 1)
    near = [each for each in known if each.rpartition(".")[2] in like]
    beside = [each for each in near if each.rpartition(".")[0] == section]
    return beside or near or difflib.get_close_matches(name, known, 1)


def _bad_value(name, value, reason, config):
    """The error about a value that a flag or a field can't have."""
    field = name.removeprefix("config.")
    if field != name and field in fields.flat(config):
        expected = TYPES.get(_type_of(config, field), "a value of its type")
        expected += f", such as {_example(name, config)}"
        return ValueError(
            f"Expected --{name} as {expected}. Received: {value!r}. "
            f"{fields.meaning(field)}"
        )
    if field != name or name == "config":
        return ValueError(f"flag --{name}={value}: {reason}")
    meant = " ".join((flags.FLAGS[name].help or "").split())
    choices = re.search(r"<(.*)>", reason)
    if choices:
        near = difflib.get_close_matches(value, choices[1].split("|"), 1)
        fix = f" Did you mean {near[0]}?" if near else ""
        return ValueError(
            f"Expected --{name} as one of {', '.join(choices[1].split('|'))}. "
            f"Received: {value!r}.{fix}"
        )
    kind = {"int": int, "float": float, "bool": bool}.get(flags.FLAGS[name].flag_type())
    expected = TYPES[kind] if kind else "described"
    bound = re.search(r"(must|should) (?:\w+ )?be (.*)|is not (.*)", reason)
    expected += f" ({bound[2] or bound[3]})" if bound else ""
    return ValueError(f"Expected --{name} as {expected}. Received: {value!r}. {meant}")


def _type_of(config, field):
    """The type of a field's values, also of one whose default is None."""
    *sections, last = field.split(".")
    for each in sections:
        config = config[each]
    return config.get_type(last)


def _example(name, config):
    """A value that a flag or a field might have."""
    field = name.removeprefix("config.")
    known = fields.flat(config)
    if field == name or field not in known:
        return "VALUE"
    kind = _type_of(config, field)
    unknown = {int: 10, float: 0.5, bool: True}.get(kind, "VALUE")
    return unknown if known[field] is None else known[field]
