"""Cache of finished training results, under the SHA-256 of everything that they depend on.

Hashes are verified on reading: a damaged result counts as missing. Nothing here needs torch, so that reading
a result takes no longer than its files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from laureate.core.files import fresh_folder, sha256_file, write_json
from laureate.core.stage_code import code_of_stage, key_of

__all__ = ["MACHINE", "Results", "code_of_stage", "key_of", "locked"]

HASHES = "hashes.json"
MACHINE = "machine.json"  # where it was trained
RECENT = 60  # results that are kept: ten studies of six ranks, or three of six ranks and three seeds


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; a second one waits. The lock goes with its process, however that ends."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        yield


@dataclass(frozen=True)
class Results:
    """A folder of results, each a folder of files under its key."""

    folder: Path

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """Give an empty folder to fill; afterwards it is stored whole, with its hashes, or not at all."""
        with fresh_folder(self.folder / key) as folder:
            yield folder
            write_json(folder / HASHES, {path.name: sha256_file(path) for path in sorted(folder.iterdir())})

    def find(self, key: str) -> Path | None:
        """The folder of a key if every file in it has the hash that it was stored with, else None."""
        folder = self.folder / key
        try:
            hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
            whole = hashes and all(sha256_file(folder / name) == known for name, known in hashes.items())
        except (OSError, ValueError, AttributeError):
            return None
        return folder if whole else None

    def keep_recent(self, keys: Collection[str], count: int = RECENT) -> None:
        """Keep the results of `keys` and, up to `count` in all, those that were added or taken last; drop the
        others and what killed runs left. To be called by whoever holds the lock.
        """
        for key in keys:
            if (self.folder / key / HASHES).is_file():
                os.utime(self.folder / key / HASHES)
        found = list(self.folder.iterdir()) if self.folder.is_dir() else []
        whole = {path: (path / HASHES).stat().st_mtime_ns for path in found if (path / HASHES).is_file()}
        recent = [
            path for path in sorted(whole, key=whole.__getitem__, reverse=True) if path.suffix != ".part"
        ]
        for path in found:
            if path not in recent[:count] and path.name not in keys:
                shutil.rmtree(path, ignore_errors=True)
