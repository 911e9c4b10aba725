"""What training keeps in the work folder: results by the key of all they depend on, and the last checkpoint.

Everything is verified on reading: what is damaged counts as missing. Nothing here needs torch until tensors
are read or written, so that a result is picked up in the time of reading it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import tensors
from laureate.errors import LaureateError
from laureate.files import fresh_folder, sha256_file, write_bytes, write_json

if TYPE_CHECKING:
    from torch import Tensor

HASHES = "hashes.json"


def key_of(content: Any) -> str:
    """SHA-256 of a value as JSON, in hexadecimal: equal values, equal keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; a second one waits. The lock goes with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Results:
    """Folders of files, each under the key of what it depends on."""

    folder: Path

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """An empty folder to be filled; it is there as a whole, with its hashes, or not at all."""
        with fresh_folder(self.folder / key) as folder:
            yield folder
            write_json(folder / HASHES, {path.name: sha256_file(path) for path in sorted(folder.iterdir())})

    def find(self, key: str) -> Path | None:
        """The folder of a key if every file in it has the hash that it was kept with, else None."""
        folder = self.folder / key
        try:
            hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
            whole = hashes and all(sha256_file(folder / name) == known for name, known in hashes.items())
        except (OSError, ValueError, AttributeError):
            return None
        return folder if whole else None

    def keep_only(self, keys: Collection[str]) -> None:
        """Drop every other result, and what killed runs left: so the cache holds one result for each key."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in keys:
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class Kept:
    """A checkpoint that was found whole."""

    path: Path
    keys: dict[str, str]  # what was trained: name and key
    done: dict[str, Any]  # how far, as it was given to `write`

    def state(self) -> dict[str, Tensor]:
        """The tensors."""
        return tensors.load(self.path)


@dataclass(frozen=True)
class Checkpoints:
    """The state of a training after some steps, in files whose names end in the hash of their content."""

    folder: Path

    def write(self, keys: Mapping[str, str], done: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Keep a state under the keys of what is trained: written aside, hashed, renamed; then the older
        ones go."""
        data = tensors.dumps(state, {"keys": json.dumps(keys), "done": json.dumps(done, allow_nan=False)})
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{int(done['steps']):08d}-{digest}.safetensors"
        write_bytes(path, data)
        for other in self.folder.iterdir():
            if other != path:
                other.unlink()

    def find(self) -> Kept | None:
        """The latest checkpoint that is whole, or None."""
        for path in sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True):
            try:
                if sha256_file(path) == path.stem.partition("-")[2]:
                    header = tensors.metadata(path)
                    return Kept(path, json.loads(header["keys"]), json.loads(header["done"]))
            except (LaureateError, OSError, KeyError, ValueError):
                continue
        return None

    def remove(self) -> None:
        """All of them, and what killed runs left."""
        shutil.rmtree(self.folder, ignore_errors=True)
