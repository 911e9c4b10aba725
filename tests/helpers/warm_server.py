"""Run `laureate`, `dvc` and the crawling process in forks of processes that have their libraries imported.

A start then takes milliseconds. For tests of what programs do one after the other; what a program imports,
and how it starts, is tested with processes of its own. `python warm_server.py KIND SOCKET` serves until its
standard input ends. The program CLIENT stands for `laureate` or `dvc` on the PATH, or for a `python` that is
asked for code or one of MODULES; it hands over its arguments, folder, environment and open files.
"""

from __future__ import annotations

import atexit
import ctypes
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
import threading
import traceback
from contextlib import suppress
from pathlib import Path

PYTHON = sys.executable  # tests put another in its place
PROGRAMS = {"stages": ("laureate", "python"), "dvc": ("dvc",), "crawler": ("python",)}  # by kind of server
MODULES = ("laureate", "crawler", "benchmarks")  # that `python -m` runs in a fork; others in the real python
LIBRARIES = {
    "stages": (
        "torch",
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.models.autoencoders.autoencoder_kl",
        "diffusers.schedulers",
        "transformers.models.clip.modeling_clip",
        "transformers.models.clip.tokenization_clip",
        "transformers.models.clip.image_processing_pil_clip",
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
        "matplotlib.backends.backend_svg",
        "jinja2",
        "pandas",
        "pydantic.fields",
        "pydantic.types",
        "safetensors.torch",
        "scipy.fft",
        "scipy.ndimage",
        "scipy.special",
        "yaml",
    ),
    "dvc": (
        "dvc.cli.parser",
        "dvc.repo",
        "dvc.rwlock",
        "dvc.repo.experiments.queue.celery",
        "dvc_render.vega",
        "dulwich.client",
        "scmrepo.git",
        "networkx",
        "s3fs",
        "sshfs",
        "webdav4.fsspec",
    ),
    "crawler": (
        "scrapy.crawler",
        "scrapy.core.downloader.contextfactory",
        "scrapy.downloadermiddlewares.cookies",
        "scrapy.downloadermiddlewares.httpcache",
        "scrapy.downloadermiddlewares.httpcompression",
        "scrapy.extensions.feedexport",
        "scrapy.extensions.telnet",
        "scrapy.extensions.throttle",
        "scrapy.robotstxt",
        "scrapy.squeues",
        "twisted.conch.telnet",
        "twisted.web.client",
        "PIL.ImageCms",
        "PIL.JpegImagePlugin",
        "aiohttp.web",
        "numpy",
        "protego",
        "tldextract",
    ),
}
CLIENT = """#!{python} -ES
import json, os, signal, socket, sys
def pass_on(number, _):
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass  # it has ended
if sys.argv[0].endswith("python") and sys.argv[1:2] != ["-c"] and sys.argv[2:3] not in {modules}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    text = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(text).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(text)
    answers = server.makefile("rb")
    child = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def install(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    """Start a server and write its PROGRAMS into `folder` => the server, which ends when its standard input
    is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    address = str(folder / "server")
    server = subprocess.Popen(
        [PYTHON, __file__, kind, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    for name in PROGRAMS[kind]:
        program = folder / name
        modules = [[module] for module in MODULES]
        program.write_text(CLIENT.format(python=PYTHON, address=address, modules=modules))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return server


def serve(kind: str, address: str) -> None:
    """Import the libraries, then fork for every client until standard input ends."""
    for name in LIBRARIES[kind]:
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
            _die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(client)
            os._exit(0)
        client.close()
    del kept  # the operators that it declared live as long as it


def _die_with_parent() -> None:
    """Let Linux kill this process when the one that forked it ends: nobody else would."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _answer(client: socket.socket) -> None:
    """Run one command in a fork, and tell the client its number and its exit status. It is killed when the
    client is."""
    import json

    size, files, _, _ = socket.recv_fds(client, 8, 3)
    text = client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
    words, folder, environment = json.loads(text)
    child = os.fork()
    if child == 0:
        client.close()
        _die_with_parent()
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        paths = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:1] = [path for path in paths if path]
        sys.path_importer_cache.clear()
        sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115, PTH123
        sys.stderr.reconfigure(line_buffering=True)
        _run(words)
    for file in files:
        os.close(file)
    client.sendall(f"{child}\n".encode())

    def kill_with_client() -> None:
        client.recv(1)  # it says nothing more: this is its end
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    threading.Thread(target=kill_with_client, daemon=True).start()
    _, status = os.waitpid(child, 0)
    client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run(words: list[str]) -> None:
    """Run a command line and end the process, without taking torch to pieces: that takes 1 s."""
    status: object = 0
    name, sys.argv[:] = Path(words[0]).name, words
    try:
        if name == "python":
            sys.executable, (option, what) = words[0], words[1:3]
            sys.path.insert(0, str(Path.cwd()))
            sys.argv[:] = [option, *words[3:]]
            if option == "-c":
                exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
            else:
                runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            runpy.run_module(name, run_name="__main__")
    except SystemExit as end:
        status = end.code
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        status = 1
    status = status if isinstance(status, int) else 0 if status is None else 1
    if "torch" not in sys.modules:
        sys.exit(status)  # dvc's databases want to be closed
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(*sys.argv[1:])
