"""What the commands share: flags, errors in one clear line, and signals."""

import os
import re
import signal
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from josrc_keras._version import __version__

flags.DEFINE_bool("version", False, "Print the version of the package and exit.")
PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (PACKAGE, *(PACKAGE.parent / n for n in ("callbacks", "configs", "export")))


def configs_folder():
    """The folder of the configurations that come with the package."""
    from josrc_keras import configs

    return Path(configs.__file__).parent


def define_config_flag():
    """Defines `--config=FILE_OR_NAME` with its overrides `--config.a.b=value`."""
    return config_flags.DEFINE_config_file(
        "config",
        None,
        "Path of a configuration file, or the name of one that comes with the "
        "package. Fields are overridden with --config.field=value.",
    )


def define_strategy_flags():
    """Defines `--strategy` and `--logical_devices`; see `strategies.scope`."""
    strategy = flags.DEFINE_enum(
        "strategy",
        "none",
        ["none", "mirrored", "multi_worker", "tpu"],
        "One device, all devices of this machine, those of the machines in TF_CONFIG, "
        "or TPUs.",
    )
    devices = flags.DEFINE_integer(
        "logical_devices",
        None,
        "Number of devices to split the CPU into, to try --strategy=mirrored.",
    )
    return strategy, devices


def run(main):
    """Runs a command that takes flags only: parses them, then calls `main()`.

    Bad input ends with exit status 2 and one line on the standard error. Ctrl-C and
    SIGTERM end with 130 and 143. An error that the package did not mean to raise is a
    bug: it keeps its traceback and ends with status 1.

    Args:
        main: A function without arguments; its result is ignored.
    """
    name = Path(sys.argv[0]).name
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    signal.signal(signal.SIGTERM, _stop)
    _explain(sys.modules[main.__module__])
    if "--version" in sys.argv[1:]:
        say(f"{name} {__version__}")
        return
    try:
        # `sys.argv` is changed in place, since ml_collections reads overrides there.
        sys.argv[:] = _with_names_of_now(sys.argv)
        app.run(
            lambda argv: _call(main, argv),
            argv=_with_config_paths(sys.argv),
            flags_parser=_parse,
        )
    except (OSError, flags.Error) as error:
        _fail(name, error)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, ImportError) as error:
        if not _is_meant(error):
            raise
        _fail(name, error)
    except Exception as error:
        if type(error).__name__ != "DataLossError":  # Only TensorFlow has this class.
            raise
        found = re.search(r"(truncated|corrupted) record at \d+", str(error))
        _fail(
            name,
            "Expected TFRecord files as they were written. Received: one with a "
            f"{found[0] if found else 'wrong checksum'}, which was damaged since. Copy "
            "the files again, or write them anew.",
        )


def _is_meant(error):
    """Whether the package raised an error to tell the user something.

    Such an error has a class of the package's own, or it was raised in a file of the
    package and its message says what was received or what to install.
    """
    if type(error).__module__.startswith("josrc_keras."):
        return True
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    file = Path(innermost.tb_frame.f_code.co_filename)
    ours = any(file.is_relative_to(folder) for folder in FOLDERS)
    return ours and re.search("Received|`pip install ", str(error)) is not None


def _explain(module):
    """Lets `--help` of an installed command show its module's text and flags."""
    sys.modules["__main__"].__doc__ = module.__doc__
    by_module = flags.FLAGS.flags_by_module_dict()
    own = by_module.get(module.__name__, ())
    # The flags of this module are those that the command has asked for.
    for flag in (*own, *by_module[__name__]):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def say(text):
    """Prints a line of a command's output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _call(main, argv):
    if len(argv) > 1:
        raise ValueError(f"Expected flags only. Received: {argv[1:]}. See --help.")
    main()


def _parse(argv):
    try:
        return flags.FLAGS(argv)
    except (KeyError, AttributeError) as error:  # A locked configuration raises these.
        overrides = [a for a in argv if a.startswith(("--config.", "-config."))]
        meant = re.search(r'Did you mean \\*"(\w+)', str(error))
        fix = f"Did you mean {meant[1]}?" if meant else "configs/base.py lists them."
        raise ValueError(
            "The configuration has no such field. Received: "
            f"{' '.join(overrides)}. Expected fields that its file sets. {fix}"
        ) from error
    except flags.Error as error:
        lines = str(error).strip().splitlines()
        if not any(line.startswith("Traceback") for line in lines):
            raise
        # A configuration file's own error: the traceback's last line says what it is.
        raise ValueError(f"{lines[0]} {lines[-1]}") from error
    except SystemExit:  # absl ends --help with status 1.
        raise SystemExit(0) from None


def exit_at_once(status):
    """Ends the process without the interpreter's clean-up.

    When a step was interrupted, TensorFlow's threads still run and could crash in it.
    """
    logging.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _stop(signum, frame):
    raise SystemExit(128 + signum)


def _fail(name, error):
    text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    line = " ".join(text.split())
    logging.debug("Traceback of the error below:", exc_info=True)
    sys.stderr.write(f"{name}: error: {line}\n")
    raise SystemExit(2)


def _with_names_of_now(argv):
    """Replaces field names from before version 0.2 in flags, with a warning."""
    renamed = []
    for argument in argv:
        flag, equals, value = argument.partition("=")
        prefix = re.match("--?config[.]", flag)
        if prefix is None or not equals:
            renamed.append(argument)
            continue
        start = prefix[0]
        from josrc_keras.runs import configuration

        name = flag.removeprefix(start)
        name, value = configuration.new_override(name, value)
        now = f"{start}{name}={value}"
        if now != argument:
            logging.warning(
                "%s will go with version 0.2. Use %s instead.", argument, now
            )
        renamed.append(now)
    return renamed


def _with_config_paths(argv):
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
    folder = configs_folder()
    names = sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
    if file in names:
        return f"{folder / file}.py{colon}{argument}"
    separators = [each for each in (os.sep, os.altsep) if each]
    if file.endswith(".py") or any(each in file for each in separators):
        return value
    raise ValueError(
        f"Unknown configuration. Received: --config={file}. Expected the path of "
        f"a Python file, or one of {', '.join(names)}."
    )
