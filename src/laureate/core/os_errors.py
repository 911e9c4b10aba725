"""Say in one sentence what an error of the operating system means and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM)


def sentence(error: OSError) -> str:
    """One sentence that names the path, if the error has one, and what to do."""
    path = _path(error)
    code = error.errno
    if code in DISK_FULL:
        return _disk_full(path, code)
    if code == errno.EROFS:
        return f"{path} cannot be written: its file system is read-only; work in a folder that is writable"
    if code in DENIED:
        return f"{path} cannot be used: permission denied{_rights(path)}; change its rights or its owner"
    words = {
        errno.ENOENT: f"there is no file or folder {path}; check the name",
        errno.EISDIR: f"{path} is a folder, but a file is needed; give another name",
        errno.ENOTDIR: f"a part of {path} is a file, but a folder is needed; give another name",
        errno.EEXIST: f"{path} exists already; move it away or give another name",
        errno.ENOTEMPTY: f"the folder {path} is not empty; another program may be writing there",
        errno.ENAMETOOLONG: f"the name {_short(path)} is too long for the file system; shorten it",
        errno.ELOOP: f"{path} is a link that leads back to itself; remove the link",
        errno.EIO: f"the disk reports an error at {path}; check the disk or its connection, then try again",
        errno.EBUSY: f"{path} is in use by another program; close it and try again",
        errno.ETXTBSY: f"{path} is in use by another program; close it and try again",
        errno.EMFILE: "too many files are open; raise the limit with `ulimit -n 4096`",
        errno.ENFILE: "too many files are open on this machine; close some programs",
        errno.ENOMEM: "there is not enough memory; close other programs and try again",
        errno.ESTALE: f"{path} is on a network drive that was disconnected; connect it and try again",
        errno.EADDRINUSE: "the port is in use; choose another one with --port",
        errno.ECONNREFUSED: "the connection was refused; check that the server runs, and its address",
    }
    if code in words:
        return words[code]
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())[:300]
    return f"{path}: {reason}" if error.filename is not None else reason


def at_path(error: OSError, path: str | Path) -> OSError:
    """The same error with `path` as its file, which an error of a write does not have by itself."""
    if error.errno is None:
        return error
    return OSError(error.errno, error.strerror or os.strerror(error.errno), str(path))


def _path(error: OSError) -> str:
    """The path of an error; of a rename the target, of a temporary file its final name."""
    name = error.filename2 if error.filename2 is not None else error.filename
    if name is None:
        return "a file"
    path = Path(os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else str(name))
    parts = [
        part.removeprefix(".").removesuffix(".part").removesuffix(".before")
        if part.startswith(".") and part.endswith(".part")
        else part
        for part in path.parts
    ]
    return str(Path(*parts)) if parts else str(path)


def _disk_full(path: str, code: int) -> str:
    """What is full, how much is left, and what can be freed."""
    if code == errno.EDQUOT:
        return f"{path} cannot be written: your disk quota is used up; remove files, then run this again"
    if code == errno.EFBIG:
        return f"{path} cannot be written: it is larger than the file system or `ulimit -f` allows"
    left = ""
    for folder in (Path(path).absolute(), *Path(path).absolute().parents):
        try:
            left = f", {shutil.disk_usage(folder).free / 1e6:,.0f} MB are free"
            break
        except OSError:
            continue
    return (
        f"{path} cannot be written: the disk is full{left}; free some, for example with `dvc gc --workspace` "
        "or by removing .work, then run this again"
    )


def _rights(path: str) -> str:
    """` (rights -rw-r--r--)` of a path or of the nearest folder above it that exists."""
    for place in (Path(path), *Path(path).parents):
        try:
            found = stat.filemode(place.stat().st_mode)
        except OSError:
            continue
        return f" ({place} has the rights {found})"
    return ""


def _short(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:40]}...{path[-30:]}"
