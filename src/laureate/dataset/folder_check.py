"""What ails a folder of pictures that somebody brings, and what to do about it.

Captions may be in `metadata.jsonl` (Hugging Face `imagefolder`), in `.txt` files beside the
pictures, or nowhere.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.progress import progress
from laureate.dataset import filters, user_folder
from laureate.dataset.clip_captioner import MAX_TOKENS
from laureate.formats import portraits
from laureate.formats.imagefolder import METADATA
from laureate.imaging.image_io import FORMATS, MEGAPIXELS, Found, PictureError, decode, identify, is_upright
from laureate.imaging.near_duplicates import Hash, distance, perceptual_hash, twins

SMALLEST = 128  # pixels on the shorter side
Count = Callable[[str], int]


@dataclass(frozen=True)
class Finding:
    """One thing in one place. What is not `serious` is put right by `laureate prepare` on its own."""

    where: str
    what: str
    cure: str
    serious: bool = True


def examine(
    folder: Path, near: float = 0.1, megapixels: float = MEGAPIXELS, count: Count | None = None
) -> list[Finding]:
    """All findings of a folder: pictures, captions, and a crawl's manifest where there is one."""
    pictures = user_folder.pictures_in(folder)
    found = [*examine_pictures(folder, pictures, near, megapixels), *examine_names(folder, pictures)]
    return [*found, *examine_captions(folder, pictures, count or _words), *_examine_manifest(folder)]


def examine_pictures(
    folder: Path, pictures: Sequence[Path], near: float = 0.1, megapixels: float = MEGAPIXELS
) -> Iterator[Finding]:
    """Every picture by itself, those that are there twice, and those that are nearly the same."""
    seen: dict[str, str] = {}
    hashes: dict[str, Hash] = {}
    for path in progress(pictures, len(pictures), "pictures"):
        where = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        twin = seen.setdefault(hashlib.sha256(data).hexdigest(), where)
        if data and twin != where:
            yield Finding(where, f"the same bytes as {twin}", "keep one of them")
        try:
            found = identify(data, megapixels)
            yield from _examine(where, path.suffix.lower(), found, data)
            if found.frames == 1:
                picture = decode(data, megapixels)
                if twin == where:
                    hashes[where] = perceptual_hash(picture)
        except PictureError as error:
            yield Finding(where, str(error), _cure(str(error)))
    yield from _nearly_the_same(hashes, near)


def _nearly_the_same(hashes: Mapping[str, Hash], near: float) -> Iterator[Finding]:
    """Pictures that a perceptual hash cannot tell apart."""
    for where, twin in twins(hashes, near):
        apart = f"{distance(hashes[where], hashes[twin]):.0%} of the perceptual hash differs"
        cure = "keep the larger one, or lower prepare.near if they are two"
        yield Finding(where, f"nearly the same picture as {twin} ({apart})", cure)


def _cure(reason: str) -> str:
    """What to do about a picture that cannot be read."""
    cures = {
        "pixels, more than": "make it smaller",
        "too large": "make it smaller",
        "a web page": "fetch the picture itself, this is the page of an error",
        "of a known format": "save it as PNG or JPEG",
        "ICC profile": "save it anew as sRGB, without the profile",
    }
    return next((cure for words, cure in cures.items() if words in reason), "fetch or export it again")


def examine_names(folder: Path, pictures: Sequence[Path]) -> Iterator[Finding]:
    """Names that would be one in the data set, or on a file system that knows no case."""
    seen: dict[str, str] = {}
    for path in pictures:
        where = path.relative_to(folder).as_posix()
        twin = seen.setdefault(user_folder.plain(user_folder.name_of(where)).casefold(), where)
        if twin != where:
            yield Finding(where, f"its name is that of {twin}, but for suffix, case or folder", "rename one")


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


def examine_captions(folder: Path, pictures: Sequence[Path], count: Count | None = None) -> Iterator[Finding]:
    """Captions, wherever they are; `count` says how many tokens a text has, start and end included."""
    count = count or _words
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
            yield from _examine_text(where, path.with_suffix(".txt").read_bytes(), count)
        for path in user_folder.stray_texts(folder, pictures):
            where = path.relative_to(folder).as_posix()
            yield Finding(where, "a caption without its picture", "bring the picture, or take it away")


def _examine_metadata(
    folder: Path, metadata: Path, pictures: Sequence[Path], count: Count
) -> Iterator[Finding]:
    """The rows of one `metadata.jsonl` against the pictures beside it."""
    there = {user_folder.plain(path) for path in pictures}
    named: set[str] = set()
    name = metadata.relative_to(folder).as_posix()
    for number, row in user_folder.lines_of(metadata):
        where = f"{name}, line {number}"
        if row is None:
            yield Finding(where, "no JSON object with file_name and text", "write it anew, or take it away")
            continue
        file, text = row["file_name"], row["text"]
        if user_folder.leads_out(file):
            yield Finding(where, f"file_name leads out of the folder: {file!r}", "name a file beside it")
            continue
        path = user_folder.plain(metadata.parent / file)
        if path in named:
            yield Finding(where, f"a second row for {file}", "keep one of them")
        elif path not in there:
            yield Finding(where, f"there is no picture {file}", "bring it, or take the row away")
        named.add(path)
        for found in _examine_text(
            where, text.encode("utf-8", "replace") if isinstance(text, str) else b"", count
        ):
            yield replace(found, what=f"{found.what}, of {file}")
    for picture in pictures:
        if picture.is_relative_to(metadata.parent) and user_folder.plain(picture) not in named:
            where = picture.relative_to(folder).as_posix()
            yield Finding(where, f"no row in {name}", "add one, or take it away")


def _examine_manifest(folder: Path) -> Iterator[Finding]:
    """A crawl's manifest against the pictures, in both directions."""
    manifest = folder / portraits.MANIFEST
    if manifest.is_file():
        try:
            filters.check_files(portraits.read_manifest(manifest), folder, portraits.MANIFEST)
        except LaureateError as error:
            yield Finding(portraits.MANIFEST, str(error), "crawl again")


def tokens_by(clip: str | Path) -> Count:
    """How a CLIP counts a text's tokens, start and end included; words where its folder is not at hand."""
    if not (Path(clip) / "config.json").is_file():
        return _words
    known: list[Callable[..., dict[str, list[int]]]] = []

    def count(text: str) -> int:
        if not known:  # only when there is a caption: it takes a second
            from transformers import CLIPTokenizer

            known.append(CLIPTokenizer.from_pretrained(clip, local_files_only=True))
        return len(known[0](text, truncation=False, verbose=False)["input_ids"])

    return count


def _words(text: str) -> int:
    """At least so many tokens."""
    return len(text.split()) + 2


def _examine_text(where: str, data: bytes, count: Count) -> Iterator[Finding]:
    """One caption."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        yield Finding(where, "a caption that is not UTF-8 text", "save it as UTF-8")
        return
    if not text.strip():
        yield Finding(where, "an empty caption", "write one")
    elif count(text) > MAX_TOKENS:
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
