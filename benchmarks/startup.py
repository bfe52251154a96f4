"""CPU seconds of each command until it has explained itself or refused its arguments.

    python benchmarks/startup.py

prints, of each command, the least of three runs of `--help` and of an unknown flag, the
interpreter's own start included, and what importing Keras takes beside it.
"""

import os
import subprocess
import sys

from josrc_keras.commands import arguments

RUNS = 3
CALL = "import sys; sys.argv = {argv}; from josrc_keras.commands import {name} as c; "


def cpu_seconds(code):
    """User and system seconds of a Python process, the least of `RUNS` runs."""
    found = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        after = os.times()
        found.append(sum(after[i] - before[i] for i in (2, 3)))
    return min(found)


def main():
    print(f"{'command':<16} {'--help':>7} {'unknown flag':>13}")
    for command in arguments.of_commands():
        name = command.removeprefix("josrc-")
        seconds = [
            cpu_seconds(CALL.format(argv=[command, flag], name=name) + "c.main()")
            for flag in ("--help", "--unknown")
        ]
        print(f"{command:<16} {seconds[0]:>7.2f} {seconds[1]:>13.2f}")
    print(f"{'import keras':<16} {cpu_seconds('import josrc_keras, keras'):>7.2f}")


if __name__ == "__main__":
    main()
