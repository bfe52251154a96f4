"""Runs many command lines of the package in forks of one process.

Started as a script with the path of a JSON file: a list of `{"module", "arguments",
"out", "err", "file_limit"}`. TensorFlow is imported once; each
case runs in a fork, as a process of its own. Writes a list of exit statuses to the
standard output.
"""

import json
import os
import resource
import runpy
import sys
import traceback


def run_case(case):
    """The exit status of one command line, run in this process."""
    for name, stream in (("out", 1), ("err", 2)):
        file = os.open(case[name], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, stream)
    if case.get("file_limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (case["file_limit"],) * 2)
    sys.argv = [case["module"], *case["arguments"]]
    try:
        runpy.run_module(case["module"], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70  # As `sysexits.h`: an internal error.
    return 0


def main(path):
    """Runs every case of a file, one after the other."""
    import josrc_keras.experiment  # noqa: F401  (what every command imports)

    statuses = []
    with open(path) as file:
        cases = json.load(file)
    for case in cases:
        pid = os.fork()
        if not pid:
            status = 71
            try:
                status = run_case(case)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    sys.stdout.write(json.dumps(statuses))


if __name__ == "__main__":
    main(sys.argv[1])
