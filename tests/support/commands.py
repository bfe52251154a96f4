"""Runs many command lines of the package in forks of one process.

Started as a script, it reads cases from the standard input, each a line of JSON:
`{"module", "arguments", "out", "err"}`, where needed with `"file_limit"` and
`"environment"`. TensorFlow is imported once; each case runs in a fork, as a process of
its own. Writes two lines a case to the standard output: the id of its process when it
starts, its exit status when it has ended.
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
    os.environ.update(case.get("environment", {}))
    sys.argv = [case["module"], *case["arguments"]]
    try:
        runpy.run_module(case["module"], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70  # As `sysexits.h`: an internal error.
    return 0


def main():
    """Runs one case after the other."""
    import josrc_keras.runs.train  # noqa: F401  (what every command imports)

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            status = 71
            try:
                status = run_case(json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
