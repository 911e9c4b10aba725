"""Files that operating systems and programs leave in every folder: they are no part of anybody's data."""

from collections.abc import Iterator
from os import walk
from pathlib import Path, PurePath

from laureate.core.errors import LaureateError

_NAMES = frozenset({
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("icon\r", "picasa.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found"),
    *("system volume information", "__pycache__"),
})  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a file or folder of this name is ignored: hidden ones (".DS_Store", "._x") and known names."""
    return name.startswith((".", "~$")) or name.lower() in _NAMES


def has_system_part(path: PurePath) -> bool:
    """Whether a part of a relative path is ignored."""
    return any(is_system_file(part) for part in path.parts)


def files_in(folder: Path) -> Iterator[Path]:
    """All files in a folder and its subfolders, links followed, each folder once; system files left out.

    Links that point nowhere are given too: `is_file` is then false. Raises LaureateError for a folder that
    cannot be read.
    """

    def stop(error: OSError) -> None:
        raise LaureateError(f"{error.filename} cannot be read: {error.strerror}")

    seen: set[Path] = set()
    for place, folders, names in walk(folder, onerror=stop, followlinks=True):
        here = Path(place)
        real = here.resolve()
        if real in seen:  # a link to a folder above it, or to one that was read
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        for name in sorted(names):
            if not is_system_file(name):
                yield here / name
