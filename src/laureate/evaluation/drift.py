"""Drift: what an adapter changes in pictures of prompts that do not ask for its style.

The base and every adapter draw the same prompts without the style phrase, from the same noise
(`laureate sample`). An adapter that is only a style leaves these pictures as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laureate.evaluation import scores
from laureate.evaluation.feature_extraction import content_read, heads_of, lpips_of, style_read
from laureate.evaluation.scores.base import Array

if TYPE_CHECKING:
    from laureate.evaluation.judges.panel import Panel, PictureSet


@dataclass(frozen=True)
class PlainPictures:
    """p pictures of one model, of prompts without the style phrase."""

    pictures: PictureSet
    names: Sequence[str]  # as `Evidence.pictures`: of the picture of that prompt and seed with the phrase
    texts: Sequence[str]
    attributes: Sequence[Mapping[str, str]]  # attribute => class that the prompt names


def drift_values(
    panel: Panel, names: Sequence[str], plain: PlainPictures, base: PictureSet | None, style: str
) -> dict[str, Array]:
    """Score => a value per picture of the evidence, NaN where that prompt is not drawn without the phrase.

    `names`: of the n pictures of the evidence; `base`: the base's pictures of the same prompts and noise, in
    the same order, None for the base itself; `style`: the class of the learnt style. A role without a judge
    gives no score. drift (n,): LPIPS to the base's picture; leak (n,): 1 where the style is read, else 0;
    plain_clip (n,): CLIP score with the prompt; plain_content (n, heads): see `content_read`.
    """
    found: dict[str, Array] = {}
    pictures = plain.pictures
    if base is not None:
        layers = [panel.extract("lpips", part) for part in (pictures, base)]
        if layers[0] is not None and layers[1] is not None:
            found["drift"] = np.diagonal(scores.lpips(*(lpips_of(output) for output in layers if output)))
    reading = panel.extract("attributes", pictures)
    if reading is not None:
        found["leak"] = style_read(heads_of(reading), panel.classes(), style)
        found["plain_content"] = content_read(heads_of(reading), panel.classes(), plain.attributes)
    looks, words = panel.extract("text", pictures), panel.texts(plain.texts)
    if looks is not None and words is not None:
        found["plain_clip"] = scores.clip_score(looks["features"], words)
    return {key: at_names(values, plain.names, names) for key, values in found.items()}


def at_names(values: Array, of: Sequence[str], names: Sequence[str]) -> Array:
    """Values (p,) or (p, k) of the pictures `of` => (n,) or (n, k) for `names`, NaN where `of` has none."""
    place = {name: row for row, name in enumerate(names)}
    placed = np.full((len(names), *values.shape[1:]), np.nan)
    rows = [(place[name], row) for row, name in enumerate(of) if name in place]
    if rows:
        target, source = (list(part) for part in zip(*rows, strict=True))
        placed[target] = values[source]
    return placed
