"""What ails a folder of pictures that somebody brings, and what to do about it.

Captions may be in `metadata.jsonl` (Hugging Face `imagefolder`), in `.txt` files beside the
pictures, or nowhere.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from laureate.captioner import MAX_TOKENS
from laureate.errors import LaureateError
from laureate.pictures import FORMATS, Found, PictureError, identify, is_upright

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".heic", ".avif"})
METADATA = "metadata.jsonl"
SMALLEST = 128  # pixels on the shorter side


@dataclass(frozen=True)
class Finding:
    """One thing in one place. What is not `serious` is put right by `laureate prepare` on its own."""

    where: str
    what: str
    cure: str
    serious: bool = True


def run(path: str) -> None:
    """Print the findings of a folder as a table.

    Raises LaureateError when there is a serious one, or when `path` is no folder with pictures.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise LaureateError(f"{folder} is no folder: doctor wants one with pictures in it")
    pictures = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not pictures:
        raise LaureateError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    found = [*examine_pictures(folder, pictures), *examine_captions(folder, pictures)]
    print(table(found) if found else f"{len(pictures)} pictures, nothing found")
    serious = sum(finding.serious for finding in found)
    if serious:
        raise LaureateError(
            f"{serious} things in {folder} must be put right first, {len(found) - serious} need not"
        )


def examine_pictures(folder: Path, pictures: Sequence[Path]) -> Iterator[Finding]:
    """Every picture by itself, and those that are there twice."""
    seen: dict[str, str] = {}
    for path in pictures:
        where = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        twin = seen.setdefault(hashlib.sha256(data).hexdigest(), where)
        if data and twin != where:
            yield Finding(where, f"the same bytes as {twin}", "keep one of them")
        try:
            found = identify(data)
        except PictureError as error:
            yield Finding(where, str(error), "fetch or export it again, as PNG or JPEG")
            continue
        yield from _examine(where, path.suffix.lower(), found, data)


def _examine(where: str, suffix: str, found: Found, data: bytes) -> Iterator[Finding]:
    """A picture that can be read."""
    if found.frames > 1:
        yield Finding(where, f"an animation of {found.frames} frames", "keep one frame, as PNG")
    if min(found.size) < SMALLEST:
        small = f"{found.size[0]} x {found.size[1]} pixels, less than {SMALLEST} on a side"
        yield Finding(where, small, "find a larger one")
    if max(found.size) > 2 * min(found.size):
        yield Finding(
            where, f"{found.size[0]} x {found.size[1]} pixels: a strip", "cut out what should be learnt"
        )
    if suffix.removeprefix(".").replace("jpeg", "jpg").replace("tiff", "tif") != FORMATS[found.format]:
        yield Finding(where, f"a {found.format} by its bytes, {suffix} by its name", "rename it")
    notes = {
        "CMYK": "in the colours of print (CMYK)",
        "RGBA": "with transparency (alpha)",
        "LA": "with transparency (alpha)",
        "PA": "with transparency (alpha)",
    }
    if found.mode in notes:
        cure = "nothing: prepare makes it RGB, transparent parts white"
        yield Finding(where, notes[found.mode], cure, serious=False)
    if found.mode.startswith("I") or found.mode == "F":
        yield Finding(
            where, f"16 bits a channel ({found.mode})", "nothing: prepare scales it to 8", serious=False
        )
    if not is_upright(data):
        yield Finding(
            where, "turned by its EXIF orientation", "nothing: prepare turns it upright", serious=False
        )


def examine_captions(
    folder: Path, pictures: Sequence[Path], count: Callable[[str], int] = lambda text: len(text.split())
) -> Iterator[Finding]:
    """Captions, wherever they are; `count` says how many tokens a text has, at least."""
    tables = sorted(folder.rglob(METADATA))
    for metadata in tables:
        yield from _examine_metadata(folder, metadata, pictures, count)
    beside = [path for path in pictures if path.with_suffix(".txt").exists()]
    if beside and not tables:
        for path in pictures:
            where = path.with_suffix(".txt").relative_to(folder).as_posix()
            if path not in beside:
                yield Finding(where, f"{path.name} has no caption, others have one", "write it")
                continue
            yield from _examine_text(where, path.with_suffix(".txt").read_text("utf-8", "replace"), count)


def _examine_metadata(
    folder: Path, metadata: Path, pictures: Sequence[Path], count: Callable[[str], int]
) -> Iterator[Finding]:
    """The rows of one `metadata.jsonl` against the pictures beside it."""
    named: set[Path] = set()
    name = metadata.relative_to(folder).as_posix()
    for number, line in enumerate(metadata.read_text("utf-8", "replace").splitlines(), start=1):
        where = f"{name}, line {number}"
        try:
            row = json.loads(line)
            file, text = row["file_name"], row["text"]
        except (ValueError, KeyError, TypeError):
            yield Finding(where, "no JSON object with file_name and text", "write it anew, or take it away")
            continue
        if (
            not isinstance(file, str)
            or PurePosixPath(file).is_absolute()
            or ".." in PurePosixPath(file).parts
        ):
            yield Finding(where, f"file_name leads out of the folder: {file!r}", "name a file beside it")
            continue
        named.add(metadata.parent / file)
        if not (metadata.parent / file).is_file():
            yield Finding(where, f"there is no picture {file}", "bring it, or take the row away")
        yield from _examine_text(where, text if isinstance(text, str) else "", count)
    for path in pictures:
        if path.is_relative_to(metadata.parent) and path not in named:
            yield Finding(
                path.relative_to(folder).as_posix(), f"no row in {name}", "add one, or take it away"
            )


def _examine_text(where: str, text: str, count: Callable[[str], int]) -> Iterator[Finding]:
    """One caption."""
    if not text.strip():
        yield Finding(where, "an empty caption", "write one")
    elif count(text) > MAX_TOKENS - 2:
        yield Finding(where, f"a caption of more than {MAX_TOKENS} tokens", "shorten it")


def table(findings: Sequence[Finding]) -> str:
    """The findings in columns, what is serious marked with !."""
    rows = [("", "where", "what", "what to do")]
    rows += [("!" if f.serious else " ", f.where, f.what, f.cure) for f in findings]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )
