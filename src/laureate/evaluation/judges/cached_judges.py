"""Judges whose outputs are kept: each sees the same pictures once.

The cache is a folder of safetensors files, which several processes may use at once. A file's name is a hash
of the judge (kind, weights, versions, pre-processing) and of what it has seen. A judge whose outputs are
cached is not loaded. A warm cache gives the same bytes as a cold one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.files import write_bytes
from laureate.evaluation.judges import loading, weights
from laureate.evaluation.judges.batching import Features, JudgeOutput, versions

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config import params

FORMAT = 1  # of the cached files; files of another format are not read
LIMIT = 8e9  # bytes of the cache; the least recently used files are deleted first
LEFT_OVER = 86_400.0  # seconds after which a half-written file is that of a killed run
PREPROCESSING: dict[str, tuple[str, tuple[str, ...]]] = {  # kind => pre-processing, packages it depends on
    "vision": ("clean-fid's bicubic resize to the net's size, not rounded; x / 255", ("torch",)),
    "clip": ("as preprocessor_config.json says, on Pillow", ("torch", "transformers")),
    "dino": ("as preprocessor_config.json says, on Pillow", ("torch", "transformers")),
    "inception": (
        "clean-fid's bicubic resize to 299, not rounded; (x - 128) / 128",
        ("torch", "torchvision", "clean-fid"),
    ),
    "imagenet": ("clean-fid's bicubic resize to 224, not rounded; (x - 127) / 128", ("torch",)),
    "lpips-alex": ("clean-fid's bicubic resize to 256, not rounded; x / 127.5 - 1", ("torch", "lpips")),
    "lpips-vgg": ("clean-fid's bicubic resize to 256, not rounded; x / 127.5 - 1", ("torch", "lpips")),
}


class CachedJudges:
    """Some judges of `evaluate.judges`, each loaded when first needed."""

    def __init__(self, evaluate: params.Evaluate, cache: Path, names: Iterable[str]) -> None:
        """Find the weights. Raises LaureateError as `weights.find` does."""
        self.evaluate, self.cache, used = evaluate, cache, set(names)
        self.files = {
            name: weights.find(judge.source, name, judge.sha256)
            for name, judge in evaluate.judges.items()
            if name in used
        }
        self._judges: dict[str, Any] = {}
        self._memory: dict[str, JudgeOutput] = {}

    def features_of(self, name: str, subject: str, pictures: Callable[[], Sequence[Image]]) -> Features:
        """Features (n, d) of pictures that are made only where these features are not known.

        `subject`: what the pictures depend on. The features may hold numbers that are not finite.
        """
        output = self._cached(
            name, subject, lambda: {"features": self._judge(name).extract(pictures())["features"]}
        )
        return output["features"]

    def _about(self, name: str) -> dict[str, Any]:
        judge = self.evaluate.judges[name]
        preprocessing, packages = PREPROCESSING[judge.kind]
        return {
            "kind": judge.kind,
            "source": judge.source,
            "sha256": self.files[name].hashes,
            "version": versions(*packages),
            "preprocessing": preprocessing,
        }

    def _judge(self, name: str) -> Any:
        if name not in self._judges:
            self._judges[name] = loading.load(self.evaluate.judges[name], self.evaluate.batch)
        return self._judges[name]

    def _cached(self, name: str, subject: str, compute: Callable[[], JudgeOutput]) -> JudgeOutput:
        """What a judge makes of a subject; see `remembered`."""
        about = {k: v for k, v in self._about(name).items() if k != "source"}  # its place does not matter
        return self.remembered(about, subject, compute)

    def remembered(
        self, about: dict[str, Any], subject: str, compute: Callable[[], JudgeOutput]
    ) -> JudgeOutput:
        """The output from memory or the cache; else `compute` it and store it.

        `about`: what computes it; `subject`: what it is computed from, with its hash.
        """
        key = json.dumps([FORMAT, about, self.evaluate.batch, subject], sort_keys=True)
        path = self.cache / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"
        if path.name not in self._memory:
            output = _read(path)
            if output is None:
                output = compute()
                _write(path, output)
            self._memory[path.name] = output
        return self._memory[path.name]


def _read(path: Path) -> JudgeOutput | None:
    """A cached output; None where there is none, or where the file is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        output: JudgeOutput = load_file(path)
        path.touch()  # mark it as recently used
    except (OSError, SafetensorError):
        return None
    return output


def _write(path: Path, output: JudgeOutput) -> None:
    """Store an output; delete the least recently used ones beyond `LIMIT`."""
    import numpy as np
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(values) for name, values in output.items()})
    write_bytes(path, data, shared=True)
    others = sorted((_last_used(p), p) for p in path.parent.glob("*.safetensors*") if p != path)
    total = sum(size for (_, size), _ in others) + len(data)
    for (used, size), other in others:
        unwanted = used < time.time() - LEFT_OVER if other.suffix == ".part" else total > LIMIT
        if unwanted:
            total -= size
            other.unlink(missing_ok=True)


def _last_used(path: Path) -> tuple[float, int]:
    """(time, bytes); zeros for a file that another process has deleted."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0.0, 0
    return found.st_mtime, found.st_size
