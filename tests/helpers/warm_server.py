"""Run `laureate` in forks of one process that has the large libraries imported: a start takes milliseconds.

For tests of what stages do one after the other; what a stage imports, and how it starts, is tested with
processes of its own. `python warm_server.py SOCKET` serves until its standard input ends. The program CLIENT
stands for `laureate` on the PATH: it hands over its arguments, folder, environment and open files.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import stat
import subprocess
import sys
import traceback
from pathlib import Path

LIBRARIES = (
    "torch",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl",
    "diffusers.schedulers",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
    "transformers.models.clip.image_processing_pil_clip",
    "matplotlib.figure",
    "jinja2",
    "pandas",
    "pydantic",
    "safetensors.torch",
    "scipy.fft",
    "scipy.ndimage",
    "scipy.special",
    "yaml",
)
CLIENT = """#!{python} -ES
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    text = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [b"f"], [0, 1, 2])
    server.sendall(text)
    server.shutdown(socket.SHUT_WR)
    answers = server.makefile("rb")
    child = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(child, number))
    status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def install(folder: Path) -> subprocess.Popen[bytes]:
    """Start a server and write a program `laureate` into `folder` that lets it do the work => the server,
    which ends when its standard input is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    address, program = str(folder / "server"), folder / "laureate"
    server = subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    program.write_text(CLIENT.format(python=sys.executable, address=address))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return server


def serve(address: str) -> None:
    """Import the libraries, then fork for every client until standard input ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    # `import torch` calls an entry point of this project: the code of a fork comes from its own folder
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "laureate"}
    gc.collect()
    gc.freeze()  # what is imported here is not looked through again, at no end of a fork either
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that answer clients are not waited for
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(client)
            os._exit(0)
        client.close()
        assert kept  # the operators that it declared live as long as it


def _answer(client: socket.socket) -> None:
    """Run one command in a fork, and tell the client its number and its exit status."""
    import json

    _, files, _, _ = socket.recv_fds(client, 1, 3)
    text = b"".join(iter(lambda: client.recv(1 << 16), b""))
    words, folder, environment = json.loads(text)
    child = os.fork()
    if child == 0:
        client.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[:] = words
        paths = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [path for path in paths if path]
        sys.path_importer_cache.clear()
        sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115, PTH123
        sys.stderr.reconfigure(line_buffering=True)
        _run()
    for file in files:
        os.close(file)
    client.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run() -> None:
    """Run the command line and end the process without taking all libraries to pieces: that takes 1 s."""
    status: object = 0
    try:
        runpy.run_module("laureate", run_name="__main__")
    except SystemExit as end:
        status = end.code
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


if __name__ == "__main__":
    serve(sys.argv[1])
