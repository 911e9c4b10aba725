"""Run a command of laureate in a process of its own in which a write fails, or that is killed there."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import failing_writes
from failing_writes import Fault, failing

KILLED = -9
SLOW = ("matplotlib.figure", "matplotlib.backends.backend_agg", "openai", "scipy.stats", "pandas")


@dataclass(frozen=True)
class Outcome:
    """Exit status (KILLED after SIGKILL), everything that was printed, steps of writing in the process."""

    status: int
    said: str
    steps: int


def run(words: list[str], folder: Path, at: int = 0, fault: Fault | None = None, inside: str = "") -> Outcome:
    """`laureate WORDS` in `folder`, with the fault at the step `at`; 0: none.

    `inside`: count and fail in the process of this module, which the command starts, not in its own. The
    process is a fork of this one, so that what takes seconds is imported once.
    """
    fault = fault or failing_writes.FAULTS["EIO"]
    for name in SLOW:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as place:
        said, steps = Path(place) / "said", Path(place) / "steps"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: the fork uses none of them
            child = os.fork()
        if child == 0:
            _in_child(words, folder, at, fault, inside, said, steps)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        counted = int(steps.read_text()) if steps.exists() and steps.stat().st_size else 0
        return Outcome(status, said.read_text(errors="replace"), counted)


def _in_child(
    words: list[str], folder: Path, at: int, fault: Fault, inside: str, said: Path, steps: Path
) -> None:
    """Run the command and leave; nothing of this process goes on after the fork."""
    status = 70
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT)
        for number in (1, 2):
            os.dup2(out, number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        from laureate import cli

        if inside:
            _fail_inside(inside, [str(folder), fault.name, str(at), str(steps)])
            status = cli.main(words)
        else:
            with failing(folder, at, fault) as writes:
                status = cli.main(words)
            steps.write_text(str(writes.count))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  # the test reads it
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _fail_inside(module: str, words: list[str]) -> None:
    """Let the command start its module with a fault in it."""
    started = subprocess.Popen

    def start(command: list[str], *more: Any, **named: Any) -> Any:
        if command[1:] == ["-m", module]:
            command = [command[0], str(Path(failing_writes.__file__)), *words, module]
        return started(command, *more, **named)

    subprocess.Popen = start  # type: ignore[misc,assignment]
