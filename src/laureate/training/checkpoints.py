"""Checkpoints of a training run: files whose names end in the hash of their content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file, write_bytes
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint whose hash was verified."""

    path: Path
    keys: dict[str, str]  # of what is trained: name => key
    done: dict[str, Any]  # progress, as it was given to `write`

    def state(self) -> dict[str, Tensor]:
        """The tensors."""
        return safetensors_io.load(self.path)


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints: `write` keeps the latest, `find` verifies what it gives."""

    folder: Path

    def write(self, keys: Mapping[str, str], done: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Save a state under the keys of what is trained, atomically; then remove older ones."""
        data = safetensors_io.dumps(
            state, {"keys": json.dumps(keys), "done": json.dumps(done, allow_nan=False)}
        )
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{int(done['steps']):08d}-{digest}.safetensors"
        write_bytes(path, data)
        for other in self.folder.iterdir():
            if other != path:
                other.unlink()

    def find(self) -> SavedCheckpoint | None:
        """The latest checkpoint that is whole, or None."""
        for path in sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True):
            try:
                if sha256_file(path) == path.stem.partition("-")[2]:
                    header = safetensors_io.metadata(path)
                    return SavedCheckpoint(path, json.loads(header["keys"]), json.loads(header["done"]))
            except (LaureateError, OSError, KeyError, ValueError):
                continue
        return None

    def remove(self) -> None:
        """Remove all checkpoints, and what killed runs left."""
        shutil.rmtree(self.folder, ignore_errors=True)
