"""Atomic writes of files and folders: each is written beside its target, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from laureate.core.os_errors import at_path


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` and make its folder; a reader sees the old file or the new one, never a part.

    Raises OSError with `path` as its file name.
    """
    path = Path(path)
    aside = _aside(path)
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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, before = _aside(path), path.with_name(f".{path.name}.before.part")
    if before.exists() and not path.exists():  # a run was killed between the two renames below
        os.replace(before, path)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
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


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    """Where `path` is prepared: always the same name, so that leftovers of a killed run are overwritten."""
    return path.with_name(f".{path.name}.part")
