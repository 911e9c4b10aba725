"""Make the n-th step of writing fail: every open for writing, write, fsync, rename, link and new folder.

Run as a program it does so in a module, such as the crawling process: FOLDER FAULT AT COUNT MODULE.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Fault:
    """What happens at the step: an error of the system, once or from then on, or the end of the process."""

    name: str
    number: int | None = None  # of the error; None: SIGKILL
    lasting: bool = False


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("ENOSPC", errno.ENOSPC, lasting=True),
        Fault("EIO", errno.EIO),
        Fault("EROFS", errno.EROFS, lasting=True),
        Fault("EACCES", errno.EACCES),
        Fault("SIGKILL"),
    )
}


class Writes:
    """Counts steps of writing below `folder`; the fault comes at number `at` (from 1), never for 0."""

    def __init__(self, folder: Path, at: int, fault: Fault) -> None:
        self.folder, self.at, self.fault = str(folder), at, fault
        self.count = 0

    def step(self, path: object, renames: bool = False, file: Any = None, data: Any = None) -> None:
        """One step on `path`; a file of another folder, such as a library's cache, does not count.

        On a disk that stays full a renaming back succeeds: its entry was just freed. A write that fails may
        be half done.
        """
        if not isinstance(path, (str, os.PathLike)) or not str(Path(path).absolute()).startswith(self.folder):
            return
        self.count += 1
        later = self.fault.lasting and not (renames and self.fault.number == errno.ENOSPC)
        if not self.at or self.count < self.at or (self.count > self.at and not later):
            return
        if data is not None:
            file.write(data[: len(data) // 2])
        if self.fault.number is None:
            if file is not None:
                file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if data is not None:  # a write does not know its file's name
            raise OSError(self.fault.number, os.strerror(self.fault.number))
        raise OSError(self.fault.number, os.strerror(self.fault.number), str(path))


class File:
    """A file whose writes are counted. It has no file number, so that libraries write through it."""

    def __init__(self, file: Any, path: object, writes: Writes) -> None:
        self._file, self._path, self._writes = file, path, writes

    def write(self, data: Any) -> int:
        self._writes.step(self._path, file=self._file, data=data)
        return int(self._file.write(data))

    def fileno(self) -> int:
        if sys._getframe(1).f_globals["__name__"].startswith(("laureate.", "subprocess")):  # fsync, stderr
            return int(self._file.fileno())
        raise io.UnsupportedOperation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def failing(folder: Path, at: int, fault: Fault = FAULTS["ENOSPC"]) -> Iterator[Writes]:
    """Fail at the step `at` in the block; 0: count only."""
    writes, real = Writes(folder, at, fault), io.open

    def opened(path: Any, mode: str = "r", *words: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or not isinstance(path, (str, os.PathLike)):
            return real(path, mode, *words, **named)
        if os.path.exists(path) and not Path(path).is_file():  # noqa: PTH110  # a device
            return real(path, mode, *words, **named)
        writes.step(path)
        file = real(path, mode, *words, **named)
        return File(file, path, writes) if Path(path).name != "lock" else file

    def counted(name: str, argument: int) -> Any:
        original = getattr(os, name)

        def call(*words: Any, **named: Any) -> Any:
            writes.step(words[argument], name in ("replace", "rename"))
            return original(*words, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        patch.setattr(os, "fsync", lambda number: None)
        for name, argument in (("replace", 1), ("rename", 1), ("link", 1), ("mkdir", 0)):
            patch.setattr(os, name, counted(name, argument))
        yield writes


def main() -> None:
    """Run a module with a fault in it, and write the number of its steps to the file COUNT."""
    import runpy

    folder, fault, at, count, module = sys.argv[1:6]
    sys.argv = [module]
    with failing(Path(folder), int(at), FAULTS[fault]) as writes:
        try:
            runpy.run_module(module, run_name="__main__")
        finally:
            os.write(os.open(count, os.O_WRONLY | os.O_CREAT), str(writes.count).encode())


if __name__ == "__main__":
    main()
