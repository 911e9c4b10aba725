"""What Ray runs on a node: make a clean clone of the driver's commit and run one task in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laureate.cluster.tasks import Task
from laureate.core.errors import LaureateError
from laureate.core.paths import JUDGED

LAST_LINES = 15  # of what a failed task printed


@dataclass(frozen=True)
class Study:
    """What a clone is made of. It holds the remote's credentials if the driver's configuration does."""

    bundle: bytes  # of git
    commit: str
    files: dict[str, str]  # name => text of files that are as the driver has them: params.yaml, .gitignore
    remote: dict[str, Any]  # name and options of the DVC remote
    environment: dict[str, str | None] = field(default_factory=dict)  # None: the variable is removed
    setup: str = ""  # a shell command for every clone


def execute(study: Study, task: Task, known: dict[str, Any], *before: dict[str, Any]) -> dict[str, Any]:
    """Run one task => for each of its stages the lock entry, whether it ran, its seconds, and the host.

    `known`: lock entries of inputs that were up to date; `before`: results of the tasks that it needs. Raises
    LaureateError with the last lines that a failed stage printed.
    """
    entries = known | {name: made["entry"] for result in before for name, made in result.items()}
    inputs, stages = {name: entries[name] for name in task.inputs}, list(task.stages)
    with _folder(study.commit) as folder:
        clone = _clone(study, folder)
        environment = _environment(study, clone)
        if study.setup:
            _run(["/bin/sh", "-c", study.setup], clone, environment, "the set-up command")
        request, result = folder / "request.json", folder / "result.json"
        request.write_text(json.dumps({"remote": study.remote, "inputs": inputs, "stages": stages}))
        request.chmod(0o600)
        words = [sys.executable, "-m", "laureate.cluster.worker", str(request), str(result)]
        _run(words, clone, environment, ", ".join(stages))
        made: dict[str, Any] = json.loads(result.read_text())
    return {name: facts | {"host": os.uname().nodename} for name, facts in made.items()}


def _run(words: list[str], folder: Path, environment: dict[str, str], what: str) -> None:
    """Run a command in a process group of its own, that ends with this process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdin:
                process.stdin.close()
        if status:
            printed.seek(0)
            lines = [line for line in printed.read().splitlines() if line.strip()]
            raise LaureateError(f"{what} failed (status {status}):\n  " + "\n  ".join(lines[-LAST_LINES:]))


def _environment(study: Study, clone: Path) -> dict[str, str]:
    """The node's variables, then the driver's; the clone's code comes before what is installed."""
    environment = dict(os.environ) | {
        key: value for key, value in study.environment.items() if value is not None
    }
    for key, value in study.environment.items():
        if value is None:
            environment.pop(key, None)
    if (clone / "src/laureate").is_dir():
        environment["PYTHONPATH"] = f"{clone / 'src'}{os.pathsep}{clone}"
    if not shutil.which("laureate", path=environment.get("PATH")):
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def _root() -> Path:
    """Where this user's tasks work on this node."""
    root = Path(tempfile.gettempdir()) / f"laureate-cluster-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise LaureateError(f"{root} belongs to somebody else; set TMPDIR on this node")
    return root


@contextmanager
def _folder(commit: str) -> Iterator[Path]:
    """A new folder for one task, removed at its end, as is what killed tasks and other commits left."""
    root = _root()
    with ExitStack() as held:
        with (root / "folders.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            others = [left for left in root.glob("task-*") if not _removed(left)]
            for store in [] if others else root.glob("*.git"):
                if store.name != f"{commit}.git":
                    shutil.rmtree(store, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="task-", dir=root))
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            lock = held.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _removed(folder: Path) -> bool:
    """Remove the folder of a task whose process is gone => whether it was."""
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _clone(study: Study, folder: Path) -> Path:
    """A clean clone at the commit, with the driver's files. Clones of a node share its objects, and what
    judges made of pictures: the held-out portraits are judged once."""
    store = _root() / f"{study.commit}.git"
    with (_root() / "store.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not store.is_dir():
            bundle, part = folder / "bundle", folder / "store.git"
            bundle.write_bytes(study.bundle)
            _git("clone", "--bare", str(bundle), str(part))
            bundle.unlink()
            part.rename(store)
    clone = folder / "clone"
    _git("clone", "--shared", "--no-checkout", str(store), str(clone))
    _git("-C", str(clone), "checkout", "--detach", study.commit)
    for name, text in study.files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text, encoding="utf-8")
    judged = _root() / JUDGED.name  # named by what they are made of, and read by several processes at once
    judged.mkdir(exist_ok=True)
    (clone / JUDGED).parent.mkdir(exist_ok=True)
    (clone / JUDGED).symlink_to(judged)
    return clone


def _git(*words: str) -> None:
    """Run git. Raises LaureateError with what it printed."""
    done = subprocess.run(["git", "-c", "advice.detachedHead=false", *words], capture_output=True, text=True)
    if done.returncode:
        raise LaureateError(f"git {words[0]} failed on {os.uname().nodename}: {done.stderr.strip()}")
