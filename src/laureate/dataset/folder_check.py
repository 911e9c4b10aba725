"""Check a user's image folder: pictures, names, captions, and the manifest of a crawl.

Captions may be in `metadata.jsonl` (Hugging Face `imagefolder`), in `.txt` files beside the
pictures, or nowhere.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.dataset import filters, user_folder
from laureate.dataset.clip_captioner import MAX_TOKENS
from laureate.formats import portraits
from laureate.formats.imagefolder import METADATA
from laureate.imaging.image_io import (
    FORMATS,
    MEGAPIXELS,
    ImageInfo,
    PictureError,
    decode,
    identify,
    is_upright,
)
from laureate.imaging.near_duplicates import Hash, distance, near_duplicates, perceptual_hash

SMALLEST = 128  # pixels on the shorter side
CountTokens = Callable[[str], int]
Watch = Callable[[Sequence[Path]], Iterable[Path]]  # passes pictures on, for example with a progress bar


@dataclass(frozen=True)
class Finding:
    """One problem in one place; `laureate prepare` corrects on its own what is not `serious`."""

    where: str  # a file, or a line of a table
    problem: str
    remedy: str
    serious: bool = True


def check(
    folder: Path,
    near: float = 0.1,
    megapixels: float = MEGAPIXELS,
    count: CountTokens | None = None,
    watch: Watch = iter,
) -> list[Finding]:
    """All findings of a folder: pictures, names, captions, and a crawl's manifest where there is one."""
    pictures = user_folder.pictures_in(folder)
    return [
        *check_pictures(folder, pictures, near, megapixels, watch),
        *check_names(folder, pictures),
        *check_captions(folder, pictures, count or _words),
        *_check_manifest(folder),
    ]


def check_pictures(
    folder: Path,
    pictures: Sequence[Path],
    near: float = 0.1,
    megapixels: float = MEGAPIXELS,
    watch: Watch = iter,
) -> Iterator[Finding]:
    """Findings of every picture, of equal bytes and of near-duplicates."""
    seen: dict[str, str] = {}  # sha256 => the first picture with it
    hashes: dict[str, Hash] = {}
    for path in watch(pictures):
        where = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        first = seen.setdefault(hashlib.sha256(data).hexdigest(), where)
        if data and first != where:
            yield Finding(where, f"the same bytes as {first}", "keep one of them")
        try:
            info = identify(data, megapixels)
            yield from _check_picture(where, path.suffix.lower(), info, data)
            if info.frames == 1:
                picture = decode(data, megapixels)
                if first == where:
                    hashes[where] = perceptual_hash(picture)
        except PictureError as error:
            yield Finding(where, str(error), _remedy(str(error)))
    yield from _check_near_duplicates(hashes, near)


def _check_near_duplicates(hashes: Mapping[str, Hash], near: float) -> Iterator[Finding]:
    """Pictures that a perceptual hash cannot tell apart."""
    for where, original in near_duplicates(hashes, near):
        apart = f"{distance(hashes[where], hashes[original]):.0%} of the perceptual hash differs"
        remedy = "keep the larger one, or lower prepare.near if they are two pictures"
        yield Finding(where, f"nearly the same picture as {original} ({apart})", remedy)


def _remedy(reason: str) -> str:
    """What to do about a picture that cannot be decoded, by the reason."""
    remedies = {
        "pixels, more than": "make it smaller",
        "too large": "make it smaller",
        "a web page": "download the picture itself, this is an error page",
        "of a known format": "save it as PNG or JPEG",
        "ICC profile": "save it anew as sRGB, without the profile",
    }
    return next(
        (remedy for words, remedy in remedies.items() if words in reason), "download or export it again"
    )


def check_names(folder: Path, pictures: Sequence[Path]) -> Iterator[Finding]:
    """Names that would be equal in the data set, or on a file system that ignores case."""
    seen: dict[str, str] = {}
    for path in pictures:
        where = path.relative_to(folder).as_posix()
        first = seen.setdefault(user_folder.normalized(user_folder.name_of(where)).casefold(), where)
        if first != where:
            yield Finding(where, f"has the name of {first}, but for suffix, case or folder", "rename one")


def _check_picture(where: str, suffix: str, info: ImageInfo, data: bytes) -> Iterator[Finding]:
    """Findings of a picture that can be decoded."""
    if info.frames > 1:
        yield Finding(where, f"an animation of {info.frames} frames", "save one frame as PNG")
    if min(info.size) < SMALLEST:
        small = f"{info.size[0]} x {info.size[1]} pixels, less than {SMALLEST} on one side"
        yield Finding(where, small, "find a larger one")
    if max(info.size) > 2 * min(info.size):
        yield Finding(
            where, f"{info.size[0]} x {info.size[1]} pixels: one side is more than twice the other", "crop it"
        )
    if suffix.removeprefix(".").replace("jpeg", "jpg").replace("tiff", "tif") != FORMATS[info.format]:
        yield Finding(where, f"{info.format} data in a file with the suffix {suffix}", "rename it")
    notes = {
        "CMYK": "CMYK colours",
        "RGBA": "transparency (alpha)",
        "LA": "transparency (alpha)",
        "PA": "transparency (alpha)",
    }
    if info.mode in notes:
        remedy = "nothing: prepare converts it to RGB on white"
        yield Finding(where, notes[info.mode], remedy, serious=False)
    if info.mode.startswith("I") or info.mode == "F":
        yield Finding(
            where, f"16 bits a channel ({info.mode})", "nothing: prepare scales it to 8", serious=False
        )
    if not is_upright(data):
        yield Finding(where, "rotated by its EXIF orientation", "nothing: prepare applies it", serious=False)


def check_captions(
    folder: Path, pictures: Sequence[Path], count: CountTokens | None = None
) -> Iterator[Finding]:
    """Findings of all captions; `count` gives the number of tokens of a text, start and end included."""
    count = count or _words
    tables = sorted(folder.rglob(METADATA))
    for metadata in tables:
        yield from _check_metadata(folder, metadata, pictures, count)
    captioned = [path for path in pictures if path.with_suffix(".txt").exists()]
    if captioned and not tables:
        for path in pictures:
            where = path.with_suffix(".txt").relative_to(folder).as_posix()
            if path not in captioned:
                yield Finding(where, f"{path.name} has no caption, others have one", "write one")
                continue
            yield from _check_text(where, path.with_suffix(".txt").read_bytes(), count)
        for path in user_folder.stray_texts(folder, pictures):
            where = path.relative_to(folder).as_posix()
            yield Finding(where, "a caption without a picture", "add the picture, or remove the caption")


def _check_metadata(
    folder: Path, metadata: Path, pictures: Sequence[Path], count: CountTokens
) -> Iterator[Finding]:
    """Compare the rows of one `metadata.jsonl` with the pictures beside it."""
    there = {user_folder.normalized(path) for path in pictures}
    named: set[str] = set()
    name = metadata.relative_to(folder).as_posix()
    for number, row in user_folder.metadata_rows(metadata):
        where = f"{name}, line {number}"
        if row is None:
            yield Finding(
                where, "not a JSON object with file_name and text", "correct the line, or remove it"
            )
            continue
        file, text = row["file_name"], row["text"]
        if user_folder.is_outside(file):
            yield Finding(where, f"file_name points out of the folder: {file!r}", "name a file beside it")
            continue
        path = user_folder.normalized(metadata.parent / file)
        if path in named:
            yield Finding(where, f"a second row for {file}", "keep one of them")
        elif path not in there:
            yield Finding(where, f"there is no picture {file}", "add it, or remove the row")
        named.add(path)
        data = text.encode("utf-8", "replace") if isinstance(text, str) else b""
        for finding in _check_text(where, data, count):
            yield replace(finding, problem=f"{finding.problem}, of {file}")
    for picture in pictures:
        if picture.is_relative_to(metadata.parent) and user_folder.normalized(picture) not in named:
            where = picture.relative_to(folder).as_posix()
            yield Finding(where, f"no row in {name}", "add one, or remove the picture")


def _check_manifest(folder: Path) -> Iterator[Finding]:
    """Compare a crawl's manifest with the pictures, in both directions."""
    manifest = folder / portraits.MANIFEST
    if manifest.is_file():
        try:
            filters.check_files(portraits.read_manifest(manifest), folder, portraits.MANIFEST)
        except LaureateError as error:
            yield Finding(portraits.MANIFEST, str(error), "run `laureate crawl` again")


def token_counter(clip: str | Path) -> CountTokens:
    """Count tokens as the CLIP model in the folder `clip` does, or words where there is no such folder."""
    if not (Path(clip) / "config.json").is_file():
        return _words
    loaded: list[Callable[..., dict[str, list[int]]]] = []

    def count(text: str) -> int:
        if not loaded:  # only when there is a caption: it takes a second
            from transformers import CLIPTokenizer

            loaded.append(CLIPTokenizer.from_pretrained(clip, local_files_only=True))
        return len(loaded[0](text, truncation=False, verbose=False)["input_ids"])

    return count


def _words(text: str) -> int:
    """A lower bound of the number of tokens: words, start and end."""
    return len(text.split()) + 2


def _check_text(where: str, data: bytes, count: CountTokens) -> Iterator[Finding]:
    """Findings of one caption."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        yield Finding(where, "a caption that is not UTF-8 text", "save it as UTF-8")
        return
    if not text.strip():
        yield Finding(where, "an empty caption", "write one")
    elif count(text) > MAX_TOKENS:
        yield Finding(where, f"a caption of more than {MAX_TOKENS} tokens", "shorten it")
