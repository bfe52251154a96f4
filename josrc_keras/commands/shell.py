"""What the commands share: flags, errors in one clear line, and signals."""

import contextlib
import logging as python_logging
import os
import re
import signal
import sys
import tempfile
import warnings
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from josrc_keras._version import __version__
from josrc_keras.commands import arguments, explained

flags.DEFINE_bool("version", False, "Print the version of the package and exit.")
PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (PACKAGE, *(PACKAGE.parent / n for n in ("callbacks", "configs", "export")))
REQUIRED: list = []  # Names of the flags that the command needs.


def define_config_flag():
    """Defines `--config=FILE_OR_NAME` with its overrides `--config.a.b=value`."""
    flags.DEFINE_bool("list_configs", False, "Print the configurations and exit.")
    flags.DEFINE_bool("print_config", False, "Print the configuration and exit.")
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
    _talk_as(name)
    signal.signal(signal.SIGTERM, _stop)
    if "--version" in sys.argv[1:]:
        say(f"{name} {__version__}")
        return
    try:
        if explained.is_asked(sys.argv[1:]):
            _explain(name, sys.modules[main.__module__])
            return
        # `sys.argv` is changed in place, since ml_collections reads overrides there.
        sys.argv[:] = arguments.with_names_of_now(sys.argv)
        app.run(
            lambda argv: _call(main, argv),
            argv=arguments.with_config_paths(sys.argv),
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
        from josrc_keras.data.records import damage

        found = re.search(r"(truncated|corrupted) record at \d+", str(error))
        unnamed = f"one with a {found[0] if found else 'wrong checksum'}"
        _fail(
            name,
            "Expected TFRecord files as they were written. Received: "
            f"{damage.among_read() or unnamed}, which was damaged since. Copy it again,"
            " or write the records anew.",
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


def _explain(name, module):
    """Prints what a command is for, its flags, and what it can be configured by."""
    own = explained.own_flags(module.__name__, __name__)
    text = explained.text_of(name, module.__doc__, own, REQUIRED, sys.argv[1:])
    say(text.rstrip())


def require(*names):
    """Makes flags required."""
    REQUIRED[:] = names


class _Console(python_logging.Formatter):
    """Lines of the package's log, in the form of a command's other lines."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def format(self, record):
        """Returns the line of a record."""
        kind = "" if record.levelno < python_logging.WARNING else "warning: "
        return f"{self.name}: {kind}{record.getMessage()}"


def _matters(record):
    """Whether a record of the log is the package's own, or about an error."""
    ours = any(Path(record.pathname).is_relative_to(each) for each in FOLDERS)
    return ours or record.levelno >= python_logging.ERROR


def _talk_as(name):
    """Lets the package's own log speak alone, until `--verbosity` asks for more."""
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    handler.setFormatter(_Console(name))
    if _matters not in handler.python_handler.filters:
        handler.python_handler.addFilter(_matters)


def _hear_all():
    """Lets every log speak in its own form, as `--verbosity` has asked."""
    handler = logging.get_absl_handler()
    handler.setFormatter(logging.PythonFormatter())
    handler.python_handler.removeFilter(_matters)


def begin():
    """Imports Keras and says in a line what a command computes with.

    TensorFlow's log stays away from the console, unless `--verbosity` asks for it.
    """
    asked = flags.FLAGS["verbosity"]
    quiet = not asked.present or int(asked.value or 0) < 0
    if quiet:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
        warnings.filterwarnings("ignore", module=r"(keras|tensorflow)\.")
    with _unheard() if quiet else contextlib.nullcontext():
        from josrc_keras.devices import accelerator

        strategy = flags.FLAGS["strategy"].value if "strategy" in flags.FLAGS else None
        found = accelerator.described(looks=strategy in (None, "none"))
    logging.info("%s", found)


@contextlib.contextmanager
def _unheard():
    """Keeps what libraries write to the standard error, and shows it on an error.

    While TensorFlow is imported it ignores `TF_CPP_MIN_LOG_LEVEL`.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def say(text):
    """Prints a line of a command's output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _call(main, argv):
    if len(argv) > 1:
        raise ValueError(
            f"Expected flags only. Received: {argv[1:]}. Write --FLAG=VALUE; --help "
            "explains the flags."
        )
    given = flags.FLAGS.flag_values_dict()
    if given.get("list_configs"):
        explained.list_configs()
        return
    needed = ["config"] if given.get("print_config") else REQUIRED
    missing = [f"--{name}" for name in needed if given[name] is None]
    if missing:
        raise ValueError(
            f"Expected {' and '.join(f'{each}=VALUE' for each in missing)}. Received: "
            f"no {' and no '.join(missing)}. --help explains the flags."
        )
    if given.get("print_config"):
        explained.print_config(flags.FLAGS.config)
        return
    main()


def _parse(argv):
    if "--list_configs" in argv:  # A --config beside it needs no value.
        argv = [argv[0], "--list_configs"]
    try:
        rest = flags.FLAGS(argv)
    except (KeyError, AttributeError, flags.Error) as error:
        # A locked configuration raises the first two.
        raise arguments.explained(error, argv) from error
    if flags.FLAGS["verbosity"].present:
        _hear_all()
    return rest


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
