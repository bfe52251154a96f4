"""What the commands share: flags, one clear line on bad input, signals."""

import os
import re
import signal
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags


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
        "One device, all of this machine, those of the machines in TF_CONFIG, or TPUs.",
    )
    devices = flags.DEFINE_integer(
        "logical_devices",
        None,
        "Split the CPU into so many devices, to try --strategy=mirrored.",
    )
    return strategy, devices


def run(main):
    """Runs a command that takes flags only: parses them, then calls `main()`.

    Bad input ends with exit status 2 and one line on the standard error; Ctrl-C and
    SIGTERM with 130 and 143.

    Args:
        main: A function without arguments; its result is ignored.
    """
    name = Path(sys.argv[0]).name
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    signal.signal(signal.SIGTERM, _stop)
    _explain(sys.modules[main.__module__])
    try:
        app.run(
            lambda argv: _call(main, argv),
            argv=_with_config_paths(sys.argv),
            flags_parser=_parse,
        )
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        _fail(name, error)
    except (OSError, FloatingPointError, RuntimeError, flags.Error) as error:
        _fail(name, error)


def _explain(module):
    """Lets `--help` of an installed command show its module's text and flags."""
    sys.modules["__main__"].__doc__ = module.__doc__
    for flag in flags.FLAGS.flags_by_module_dict().get(module.__name__, ()):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def say(text):
    """Prints a line that is part of what a command was asked for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _call(main, argv):
    if len(argv) > 1:
        raise ValueError(f"Expected flags only. Received: {argv[1:]}. See --help.")
    main()


def _parse(argv):
    try:
        return flags.FLAGS(argv)
    except (KeyError, AttributeError) as error:  # How the locked configuration refuses.
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
    except SystemExit:  # After --help, which absl ends with status 1.
        raise SystemExit(0) from None


def exit_at_once(status):
    """Ends the process without the interpreter's own clearing up.

    TensorFlow's threads still run when a step was interrupted, and can crash there.
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
    logging.debug("Traceback of the error below:", exc_info=error)
    sys.stderr.write(f"{name}: error: {line}\n")
    raise SystemExit(2)


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
    file, colon, argument = value.partition(":")
    if Path(file).exists() or file.endswith(".py"):
        return value
    folder = configs_folder()
    names = sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
    if file not in names:
        raise ValueError(
            f"Unknown configuration. Received: --config={file}. Expected the path of "
            f"a Python file, or one of {', '.join(names)}."
        )
    return f"{folder / file}.py{colon}{argument}"
