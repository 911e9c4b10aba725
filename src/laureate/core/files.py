"""Atomic writes of files and folders: each is written beside its target, then renamed."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.os_errors import at_path


def write_bytes(path: str | Path, data: bytes, shared: bool = False) -> None:
    """Write `data` to `path` and make its folder; a reader sees the old file or the new one, never a part.

    `shared`: other processes may write the same file now, as in a cache; each prepares its own. Raises
    OSError with `path` as its file name.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part") if shared else _aside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise at_path(error, path) from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 without changing line ends; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON with deterministic bytes: sorted keys, two spaces, no NaN.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def fresh_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, and rename it to `path` when the block ends without an error.

    Anything at `path` is replaced as a whole; if the block raises, it stays and the new folder is removed.
    Raises LaureateError where another process writes the same folder now, as a stage does whose DVC was
    killed: their files would be mixed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, before = _aside(path), path.with_name(f".{path.name}.before.part")
    with _owned(aside, path):
        if before.exists() and not path.exists():  # a run was killed between the two renames below
            os.replace(before, path)
        yield from _filled(aside, path, before)


def _filled(aside: Path, path: Path, before: Path) -> Iterator[Path]:
    """Yield the empty folder `aside`, then let it take the place of `path`, which is `before` meanwhile."""
    try:
        yield aside
        _remove(before)
        if path.exists() or path.is_symlink():
            os.replace(path, before)  # so that `path` is never half old, half new
        try:
            os.replace(aside, path)
        except OSError:
            if before.exists() or before.is_symlink():
                os.replace(before, path)
            raise
        with suppress(OSError):  # the new folder is complete; the next call removes the old one
            _remove(before)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _owned(aside: Path, path: Path) -> Iterator[None]:
    """Make the empty folder `aside`, and hold a lock on it that goes with this process, however it ends."""
    number = _locked(aside, path)
    shutil.rmtree(aside, ignore_errors=True)  # what a killed run left
    if number is not None:
        os.close(number)
    aside.mkdir()
    number = _locked(aside, path)
    try:
        yield
    finally:
        if number is not None:
            os.close(number)


def _locked(folder: Path, path: Path) -> int | None:
    """The descriptor of a folder that this process has locked; None where there is no such folder, or where
    the file system has no locks."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise LaureateError(
            f"{path} is being written by another process, such as a stage whose dvc was killed; wait until "
            "it ends or stop it, then run this again"
        ) from None
    except OSError:
        os.close(number)
        return None
    return number


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    """Where `path` is prepared: always the same name, so that leftovers of a killed run are overwritten."""
    return path.with_name(f".{path.name}.part")
