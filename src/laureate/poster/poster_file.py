"""Portraits and texts => a poster as PNG that says how it was made: for `poster` and `app`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.core.errors import LaureateError
from laureate.imaging import png
from laureate.imaging.image_io import PictureError, decode_still
from laureate.poster import compose
from laureate.poster import template as templates
from laureate.poster.fonts import Font

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.poster.compose import Plan

WIDTH = 1080  # pixels


def make(
    portraits: Sequence[tuple[str, bytes]],
    texts: Mapping[str, str],
    *,
    template: str | None = None,
    fonts: Sequence[Path] = (),
    width: int = WIDTH,
    note: bool = True,
) -> tuple[bytes, tuple[int, int]]:
    """One or two portraits (what an error calls it, its bytes) and texts => a poster as PNG, and its size.

    `texts` has the names of `template.NAMES`, of which subject and name must not be empty; `template` None is
    that for the number of portraits; `note` says whether "not an award of the Nobel Foundation" stands on the
    picture, as it does in the metadata in any case. Same arguments, same bytes. Raises LaureateError as
    `template.load` and `compose.plan` do, and for a portrait that cannot be decoded.
    """
    chosen = templates.load(template or ("one" if len(portraits) == 1 else "two"))
    shown = dict(texts)
    if note and "note" in chosen.texts:
        shown["note"] = compose.NOTE
    planned = compose.plan(chosen, shown, [Font(file) for file in fonts], width, len(portraits))
    made = compose.draw(chosen, planned, [_decoded(data, name) for name, data in portraits])
    record = _record(shown | {"note": compose.NOTE}, chosen.title, planned, [data for _, data in portraits])
    people = "portraits" if len(portraits) > 1 else "a portrait"
    description = f"generated: a poster of {people} and texts. {compose.NOTE}."
    return png.encode(made, description, record, png.COMPOSED), made.size


def _record(texts: Mapping[str, str], title: str, planned: Plan, data: Sequence[bytes]) -> dict[str, Any]:
    """How a poster was made: texts, fonts, and of each portrait its hash and what its own record says."""
    used = {plan.font for plan in planned.texts.values()}
    return {
        "generated": True,
        "note": texts["note"],
        "version": __version__,
        "template": title,
        "texts": {key: text for key, text in texts.items() if text},
        "fonts": {font.path.name: font.digest for font in used},
        "portraits": [
            {"sha256": hashlib.sha256(raw).hexdigest(), "record": png.record_of(raw)} for raw in data
        ],
    }


def _decoded(data: bytes, name: str) -> Image:
    """A portrait as RGB. Raises LaureateError for what is no picture, is animated or too large."""
    try:
        return decode_still(data)
    except PictureError as error:
        raise LaureateError(f"{name} cannot be used: {error}") from None
