"""The folder of uploaded files: one per process, deleted when the process ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from laureate.core.paths import WORK

CACHE = WORK / "app"


def own_folder() -> Path:
    """The folder of this process."""
    return (CACHE / str(os.getpid())).resolve()


@contextmanager
def opened() -> Iterator[None]:
    """A folder for uploaded files, which is deleted in the end; those of killed processes are deleted too."""
    for folder in CACHE.glob("*"):
        if folder.name.isdigit() and not _alive(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    own = own_folder()
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _alive(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
