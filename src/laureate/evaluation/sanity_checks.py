"""Sanity checks before scoring: each raises a LaureateError that names the file. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.formats.prompts import FEWEST, FEWEST_PICTURES
from laureate.formats.text import comparable
from laureate.imaging.blank import blankness

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_PICTURES = FEWEST_PICTURES  # fewer have no spread when one is left out


def check_count(pictures: Sequence[Any], where: str | Path, verb: str) -> None:
    """Refuse a set of fewer than MIN_PICTURES pictures; `where` lists them, `laureate VERB` makes them."""
    if len(pictures) < MIN_PICTURES:
        raise LaureateError(
            f"{where} lists {len(pictures)} pictures, and scores need {MIN_PICTURES} or more: "
            f"run `laureate {verb}` with more"
        )


def check_clusters(clusters: Iterable[str], where: str | Path) -> None:
    """Refuse pictures of a single prompt: intervals come from resampling prompts."""
    if len(set(clusters)) < FEWEST:
        raise LaureateError(
            f"the pictures of {where} are of one prompt, and intervals need {FEWEST} prompts or more: "
            "add prompts to sample.prompts, then sample again"
        )


def check_sizes(pictures: Iterable[tuple[Path, Image]]) -> None:
    """Refuse pictures of more than one size: the judges' resize would blur some more than others."""
    first: tuple[Path, tuple[int, int]] | None = None
    for file, picture in pictures:
        first = first or (file, picture.size)
        if picture.size != first[1]:
            sizes = [f"{width} x {height}" for width, height in (picture.size, first[1])]
            raise LaureateError(
                f"{file} has {sizes[0]} pixels, but {first[0]} has {sizes[1]}: all pictures must have one "
                "size; run `laureate prepare` and `laureate sample` again"
            )


def check_not_blank(pictures: Sequence[tuple[Path, Image]], allowed: float = 0.0) -> str | None:
    """Refuse pictures that are black or of one colour, beyond the share `allowed` of them, 0..1.

    => a sentence on those that are allowed, which are scored as they are; None where there are none.
    """
    blank = [(file, reason) for file, picture in pictures if (reason := blankness(picture))]
    if not blank:
        return None
    file, reason = blank[0]
    if len(blank) > allowed * len(pictures):
        raise LaureateError(f"{file} {reason}: generating it went wrong; make it again")
    return f"{len(blank)} of {len(pictures)} pictures are blank, such as {file}; they are scored as they are"


def check_disjoint(train: Iterable[tuple[Path, Image]], references: Iterable[tuple[Path, Image]]) -> None:
    """Refuse a held-out picture with the pixels of a training picture."""
    known = {_pixels(picture): file for file, picture in train}
    for file, picture in references:
        if _pixels(picture) in known:
            raise LaureateError(
                f"{file} is the same picture as {known[_pixels(picture)]}: a held-out portrait must not be "
                "trained on; take one away and run `laureate prepare` again"
            )


def check_prompts(prompts: Iterable[str], captions: Mapping[Path, str]) -> None:
    """Refuse a prompt that equals a portrait's caption, but for case and punctuation: it would measure
    memorisation."""
    known = {comparable(text): file for file, text in captions.items()}
    for prompt in prompts:
        if comparable(prompt) in known:
            raise LaureateError(
                f"the prompt {prompt!r} is the caption of {known[comparable(prompt)]}: "
                "change it in the file of sample.prompts"
            )


def check_finite(values: Any, files: Sequence[Path], judge: str) -> None:
    """Refuse features (n, …) of the pictures `files` with NaN or infinity; `judge` is for the message."""
    import numpy as np

    finite = np.isfinite(values).reshape(len(files), -1).all(axis=1)
    if not finite.all():
        raise LaureateError(
            f"{files[int(finite.argmin())]}: {judge} gives features that are not finite; check the picture "
            "and the judge's weights"
        )


def _pixels(picture: Image) -> str:
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()
