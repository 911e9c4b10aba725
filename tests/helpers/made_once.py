"""A folder that tests only read, made once for all processes of a test run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of this run, which `make(folder)` makes; another process waits for it meanwhile."""
    home = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent  # of all workers
    folder, ready = home / "once" / name, home / "once" / f"{name}.ready"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(home / "once" / f"{name}.lock"):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            make(folder)
            ready.touch()
    return folder
