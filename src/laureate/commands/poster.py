"""`laureate poster`: a portrait and texts as a poster, by a template."""

from __future__ import annotations

from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes


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
    from laureate.poster import poster_file

    if (second is None) != (second_name is None):
        raise LaureateError("--second and --second-name go together: give both or neither")
    target = _target(portrait, out)
    texts = {"subject": subject, "name": name}
    if second_name is not None:
        texts["second_name"] = second_name
    texts |= {"contribution": contribution, "footer": footer}
    # a list: both may be the same file
    files = [portrait, *([second] if second is not None else [])]
    made, (wide, high) = poster_file.make(
        [(file, _read(file)) for file in files],
        texts,
        template=template,
        fonts=[Path(file) for file in fonts or []],
        width=width,
        note=note,
    )
    try:
        write_bytes(target, made)
    except OSError as error:
        raise LaureateError(f"{target} cannot be written: {error.strerror or error}") from None
    print(f"{target}: {wide} x {high} pixels")
    return target


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
