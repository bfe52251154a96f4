"""Processes that train together."""

import json
import socket
import subprocess
import tempfile


def free_addresses(count=2):
    """So many addresses of this machine at which nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start_workers(command, **arguments):
    """Two processes of a command, each with its `TF_CONFIG`."""
    cluster = {"worker": free_addresses()}
    config = {"cluster": cluster, "task": {"type": "worker"}}
    processes = []
    for index in range(2):
        config["task"]["index"] = index
        environment = {**arguments["env"], "TF_CONFIG": json.dumps(config)}
        processes.append(launch(command[index], cwd=arguments["cwd"], env=environment))
    return processes


def launch(command, **arguments):
    """A process that writes to files: a pipe that nobody reads would stop it."""
    files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
    process = subprocess.Popen(command, stdout=files[0], stderr=files[1], **arguments)
    process.files = files
    return process


def finish(processes, timeout=300):
    """`(exit status, standard output, standard error)` of each."""
    results = []
    try:
        for process in processes:
            process.wait(timeout=timeout)
            for file in process.files:
                file.seek(0)
            out, err = (file.read() for file in process.files)
            lines = out.splitlines(keepends=True)
            out = "".join(line for line in lines if not line.startswith("[Gloo]"))
            results.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return results
