"""The judges of a study, which see a set of pictures once.

What a judge makes of pictures is kept by their pixels, in order (`cached_judges`). So all scores share one
pass, and the held-out portraits pass once for all models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.evaluation import sanity_checks
from laureate.evaluation.judges.batching import Features, JudgeOutput
from laureate.evaluation.judges.cached_judges import CachedJudges

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config import params


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


class Panel(CachedJudges):
    """The judges of `evaluate`."""

    def __init__(self, evaluate: params.Evaluate, cache: Path, extra: Sequence[str] = ()) -> None:
        """`extra`: judges of `evaluate.judges` that are asked whether or not they play a role."""
        super().__init__(
            evaluate, cache, {name for _, name in evaluate.roles if name is not None} | set(extra)
        )
        self.extra = tuple(extra)

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

    def _roles(self, name: str) -> list[str]:
        return [role for role, judge in self.evaluate.roles if judge == name]


def open_set(files: Sequence[Path]) -> PictureSet:
    """Read pictures as RGB. Raises LaureateError naming a file that is missing or broken."""
    from laureate.formats.pictures import read_picture

    return PictureSet(files, [read_picture(file) for file in files])
