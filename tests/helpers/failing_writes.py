"""Make the n-th step of writing fail: every open for writing, write, fsync, rename, link and new folder."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Writes:
    """Counts steps of writing below `folder`; fails at number `at` (from 1), and after it if `lasting`."""

    def __init__(self, folder: Path, at: int, number: int, lasting: bool) -> None:
        self.folder, self.at, self.number, self.lasting = str(folder), at, number, lasting
        self.count = 0

    def step(self, path: object) -> None:
        """One step on `path`; a file of another folder, such as a library's cache, does not count."""
        if not isinstance(path, (str, os.PathLike)) or not str(Path(path).absolute()).startswith(self.folder):
            return
        self.count += 1
        if self.at and (self.count == self.at or (self.lasting and self.count > self.at)):
            raise OSError(self.number, os.strerror(self.number), str(path))


class File:
    """A file whose writes are counted. It has no file number, so that libraries write through it."""

    def __init__(self, file: Any, path: object, writes: Writes) -> None:
        self._file, self._path, self._writes = file, path, writes

    def write(self, data: Any) -> int:
        try:
            self._writes.step(self._path)
        except OSError as error:  # a write does not know its file's name, and half of it may be done
            self._file.write(data[: len(data) // 2])
            raise OSError(error.errno, error.strerror) from None
        return int(self._file.write(data))

    def fileno(self) -> int:
        if sys._getframe(1).f_globals["__name__"].startswith("laureate."):  # for fsync
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
def failing(folder: Path, at: int, number: int = errno.ENOSPC, lasting: bool = False) -> Iterator[Writes]:
    """Fail at the step `at` in the block; 0: count only."""
    writes, real = Writes(folder, at, number, lasting), io.open

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
            writes.step(words[argument])
            return original(*words, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        patch.setattr(os, "fsync", lambda number: None)
        for name, argument in (("replace", 1), ("rename", 1), ("link", 1), ("mkdir", 0)):
            patch.setattr(os, name, counted(name, argument))
        yield writes
