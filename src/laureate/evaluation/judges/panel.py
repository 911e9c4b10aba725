"""The judges of a study, with a cache of their outputs: each judge sees a set of pictures once.

The cache is a folder of safetensors files, which several processes may use at once. A file's name is a hash
of the judge (kind, weights, versions, pre-processing) and of the pictures (their pixels, in order). So all
scores share one pass, the held-out portraits pass once for all models, and a judge whose outputs are cached
is not loaded. A warm cache gives the same bytes as a cold one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes
from laureate.evaluation import sanity_checks
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


@dataclass(frozen=True)
class PictureSet:
    """Pictures that are judged together, and their files."""

    files: Sequence[Path]
    pictures: Sequence[Image]  # RGB, loaded

    @cached_property
    def digest(self) -> str:
        """SHA-256 of sizes and pixels, in order; independent of file names and formats."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(repr((picture.mode, picture.size)).encode() + picture.tobytes())
        return digest.hexdigest()

    def pairs(self) -> list[tuple[Path, Image]]:
        """Every file with its picture."""
        return list(zip(self.files, self.pictures, strict=True))

    def fitted(self, resolution: int) -> PictureSet:
        """The same pictures, cropped to squares and resized to the portraits' size."""
        from laureate.imaging.image_io import resized, square

        return PictureSet(self.files, [resized(square(picture), resolution) for picture in self.pictures])

    def __len__(self) -> int:
        return len(self.pictures)


class Panel:
    """The judges of `evaluate`, each loaded when first needed."""

    def __init__(self, evaluate: params.Evaluate, cache: Path, extra: Sequence[str] = ()) -> None:
        """`extra`: judges of `evaluate.judges` that are asked whether or not they play a role."""
        self.evaluate, self.cache, self.extra = evaluate, cache, tuple(extra)
        used = {name for _, name in evaluate.roles if name is not None} | set(extra)
        self.files = {
            name: weights.find(judge.source, name, judge.sha256)
            for name, judge in evaluate.judges.items()
            if name in used
        }
        self._judges: dict[str, Any] = {}
        self._memory: dict[str, JudgeOutput] = {}

    def record(self) -> dict[str, Any]:
        """Judge => kind, source, versions, file hashes, pre-processing, and its roles."""
        return {name: self._about(name) | {"roles": self._roles(name)} for name in sorted(self.files)}

    def extract(self, role: str, pictures: PictureSet) -> JudgeOutput | None:
        """The output of a role's judge for `pictures`; None where the role has no judge.

        Raises LaureateError naming the file where a feature is not finite.
        """
        name = getattr(self.evaluate.roles, role)
        return None if name is None else self.of_judge(name, pictures)

    def of_judge(self, name: str, pictures: PictureSet) -> JudgeOutput:
        """The output of the judge `name`; raises as `extract` does."""
        output = self._cached(
            name, f"pictures {pictures.digest}", lambda: self._judge(name).extract(pictures.pictures)
        )
        for values in output.values():
            if len(values) == len(pictures):
                sanity_checks.check_finite(values, pictures.files, f"the judge {name}")
        return output

    def features_of(self, name: str, subject: str, pictures: Callable[[], Sequence[Image]]) -> Features:
        """Features (n, d) of pictures that are made only where these features are not known.

        `subject`: what the pictures depend on. The features may hold numbers that are not finite.
        """
        output = self._cached(
            name, subject, lambda: {"features": self._judge(name).extract(pictures())["features"]}
        )
        return output["features"]

    def texts(self, texts: Sequence[str]) -> Features | None:
        """n texts => (n, d) of the role `text`, unit length; None where it has no judge."""
        name = self.evaluate.roles.text
        if name is None:
            return None
        digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
        output = self._cached(name, f"texts {digest}", lambda: {"features": self._judge(name).texts(texts)})
        return output["features"]

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Head => classes of the judge of the role `attributes`; empty where it has none."""
        name = self.evaluate.roles.attributes
        if name is None:
            return {}
        file = self.files[name].path / "config.json"
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            return {head: tuple(classes) for head, classes in config["heads"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LaureateError(f"{file} is damaged ({error!r}); restore it") from None

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

    def _roles(self, name: str) -> list[str]:
        return [role for role, judge in self.evaluate.roles if judge == name]

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


def open_set(files: Sequence[Path]) -> PictureSet:
    """Read pictures as RGB. Raises LaureateError naming a file that is missing or broken."""
    from laureate.formats.pictures import read_picture

    return PictureSet(files, [read_picture(file) for file in files])
