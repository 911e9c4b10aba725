"""Run commands in a folder, with the code of the repository that the folder holds."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, fails: bool = False) -> str:
    """Run a command in a folder and give what it printed; its status must be 0, or not 0 if it `fails`.

    In a copy of the repository it runs that copy's code, not what is installed.
    """
    words = [str(word) for word in command]
    code = {"PYTHONPATH": f"{cwd / 'src'}{os.pathsep}{cwd}"} if (cwd / "src/laureate").is_dir() else {}
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def work_off_queue(command: str, cwd: Path, seconds: float, env: dict[str, str] | None = None) -> str:
    """Start DVC's queue with `command`, wait until no experiment is left => what its status says then.

    The workers' output goes nowhere: they inherit it, and one that does not end after its last experiment
    would keep a pipe open for ever. Such a worker is ended here. Raises AssertionError after `seconds`.
    """
    subprocess.run(
        command.split(),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    try:
        deadline = time.monotonic() + seconds
        while re.search(r"Queued|Running", status := run("dvc", "queue", "status", cwd=cwd)):
            assert time.monotonic() < deadline, status
            time.sleep(3)  # to ask takes a second of a core itself
        return status
    finally:
        for file in cwd.glob(".dvc/tmp/exps/celery/*.pid"):
            try:
                os.kill(int(file.read_text()), signal.SIGTERM)
            except (OSError, ValueError):  # it has ended, as it should
                continue
