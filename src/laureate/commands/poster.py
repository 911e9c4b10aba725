"""`laureate poster`: a portrait and texts as a poster, by a template."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.poster.compose import Plan


def run(
    portrait: str,
    name: str,
    subject: str,
    contribution: str = "",
    footer: str = "",
    second: str | None = None,
    second_name: str | None = None,
    fonts: list[str] | None = None,
    template: str | None = None,
    width: int = 1080,
    note: bool = True,
    out: str | None = None,
) -> Path:
    """Write a poster as PNG, by default PORTRAIT-poster.png beside the portrait; gives the file.

    `note`: whether "not an award of the Nobel Foundation" stands on the picture; it is in the metadata in any
    case. Raises LaureateError; docs/portrait.md lists for what.
    """
    from laureate.imaging import png
    from laureate.poster import compose
    from laureate.poster import template as templates
    from laureate.poster.fonts import Font

    if (second is None) != (second_name is None):
        raise LaureateError("--second and --second-name go together: give both or neither")
    files = [portrait, *([second] if second is not None else [])]
    target = _target(portrait, out)
    chosen = templates.load(template or ("one" if second is None else "two"))
    texts = {"subject": subject, "name": name}
    if second_name is not None:
        texts["second_name"] = second_name
    texts |= {"contribution": contribution, "footer": footer}
    if note and "note" in chosen.texts:
        texts["note"] = compose.NOTE
    own = [Font(Path(file)) for file in fonts or []]
    planned = compose.plan(chosen, texts, own, width, len(files))
    data = [_read(file) for file in files]
    pictures = [_decoded(raw, file) for raw, file in zip(data, files, strict=True)]
    made = compose.draw(chosen, planned, pictures)
    record = _record(texts | {"note": compose.NOTE}, chosen.title, planned, data)
    description = (
        f"generated: a poster of {'portraits' if second else 'a portrait'} and texts. {compose.NOTE}."
    )
    try:
        write_bytes(target, png.encode(made, description, record, png.COMPOSED))
    except OSError as error:
        raise LaureateError(f"{target} cannot be written: {error.strerror or error}") from None
    print(f"{target}: {made.width} x {made.height} pixels")
    return target


def _record(texts: dict[str, str], title: str, planned: Plan, data: list[bytes]) -> dict[str, Any]:
    """How a poster was made: texts, fonts, and of each portrait its hash and what its own record says."""
    from laureate.imaging import png

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


def _target(portrait: str, out: str | None) -> Path:
    """Where the poster goes. Raises LaureateError if it is no PNG or is there already."""
    path = Path(out) if out else Path(portrait).with_name(f"{Path(portrait).stem}-poster.png")
    if path.suffix.lower() != ".png":
        raise LaureateError(f"--out is {out}: posters are written as PNG, so name a file that ends in .png")
    if path.exists():
        raise LaureateError(f"{path} is there already: remove it, or name another file with --out")
    return path


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LaureateError(f"{path} cannot be read: {error.strerror or error}") from None


def _decoded(data: bytes, path: str) -> Image:
    """A portrait as RGB. Raises LaureateError for what is no picture, is animated or too large."""
    from laureate.imaging.image_io import PictureError, decode_still

    try:
        return decode_still(data)
    except PictureError as error:
        raise LaureateError(f"{path} cannot be used: {error}") from None
