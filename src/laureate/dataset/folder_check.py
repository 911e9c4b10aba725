"""Check a user's image folder: pictures, names, captions, and the manifest of a crawl."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.system_files import files_in
from laureate.dataset import caption_check, captions, filters, user_folder
from laureate.dataset.captions import Captions
from laureate.dataset.findings import CountTokens, Finding
from laureate.dataset.user_folder import Folder, shown
from laureate.formats import portraits
from laureate.formats.file_names import normalized
from laureate.imaging.blank import blankness
from laureate.imaging.image_io import FORMATS, MEGAPIXELS, ImageInfo, PictureError, examine, square
from laureate.imaging.near_duplicates import Hash, distance, near_duplicates, perceptual_hash

__all__ = ["CountTokens", "Finding", "check", "check_captions", "check_names", "check_pictures"]

SMALLEST = 128  # pixels on the shorter side
ALIKE = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "jif": "jpg", "pjpeg": "jpg", "pjp": "jpg", "mpo": "jpg"}
ALIKE |= {"tiff": "tif", "apng": "png"}  # suffixes of one format
Watch = Callable[[Sequence[Path]], Iterable[Path]]  # passes pictures on, for example with a progress bar


def check(
    folder: Path,
    near: float = 0.1,
    megapixels: float = MEGAPIXELS,
    count: CountTokens | None = None,
    watch: Watch = iter,
    embedded_prompts: bool = False,
) -> list[Finding]:
    """All findings of a folder: pictures, names, captions, and a crawl's manifest where there is one."""
    there = user_folder.listed(folder)
    found = user_folder.captions_of(there, embedded_prompts)
    return check_listed(there, found, near, megapixels, count, watch)


def check_listed(
    there: Folder,
    found: Captions,
    near: float = 0.1,
    megapixels: float = MEGAPIXELS,
    count: CountTokens | None = None,
    watch: Watch = iter,
) -> list[Finding]:
    """`check` of a folder whose files are listed and whose captions are found."""
    return [
        *check_pictures(there.path, there.pictures, near, megapixels, watch),
        *check_names(there.path, there.pictures),
        *_check_unread(there),
        *caption_check.check(there.path, there.pictures, found, count or _words),
        *_check_manifest(there.path),
    ]


def check_captions(
    folder: Path, pictures: Sequence[Path], count: CountTokens | None = None
) -> Iterator[Finding]:
    """Findings of the captions of some pictures; see `caption_check.check`."""
    others = [path for path in files_in(folder) if path not in set(pictures)]
    yield from caption_check.check(folder, pictures, captions.find(folder, pictures, others), count or _words)


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
        where = shown(path, folder)
        try:
            data = path.read_bytes()
        except OSError as error:
            yield Finding(where, f"it cannot be read: {error.strerror or error}", "change its permissions")
            continue
        first = seen.setdefault(hashlib.sha256(data).hexdigest(), where)
        if data and first != where:
            yield Finding(where, f"the same bytes as {first}", "keep one of them")
        try:
            info, picture = examine(data, megapixels)
        except PictureError as error:
            yield Finding(where, str(error), _remedy(str(error)))
            continue
        yield from _check_picture(where, path.suffix.lower(), info)
        why = blankness(picture) or blankness(square(picture))
        if why:
            yield Finding(where, f"it is blank: it {why}", "remove it, or export it again")
        elif first == where:
            hashes[where] = perceptual_hash(picture)
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
        "Git LFS": "run `git lfs pull`",
        "a kind that cannot": "export it again with 8 bits a channel",
        "values": "export it again with 8 bits a channel",
    }
    return next(
        (remedy for words, remedy in remedies.items() if words in reason), "download or export it again"
    )


def check_names(folder: Path, pictures: Sequence[Path]) -> Iterator[Finding]:
    """Names that would be equal in the data set, or on a file system that ignores case."""
    seen: dict[str, str] = {}
    for path in pictures:
        where = shown(path, folder)
        name = user_folder.name_of(path.relative_to(folder).as_posix())
        first = seen.setdefault(normalized(name).casefold(), where)
        if first != where:
            yield Finding(where, f"has the name of {first}, but for suffix, case or folder", "rename one")
        if not name.isprintable():
            yield Finding(where, "a name with control characters, or not in UTF-8", "rename it")


def _check_unread(there: Folder) -> Iterator[Finding]:
    """Files that look like pictures and are not read, and links that point nowhere."""
    for path in there.unread:
        mask = any(path.stem.lower().endswith(end) for end in user_folder.MASKS)
        problem = "a mask, and not read" if mask else "looks like a picture, and is not read"
        remedy = "nothing: it is no portrait" if mask else "save it as PNG or JPEG, with that suffix"
        yield Finding(shown(path, there.path), problem, remedy, serious=False)
    for path in there.broken:
        yield Finding(shown(path, there.path), "a link that points nowhere", "remove it", serious=False)


def _check_picture(where: str, suffix: str, info: ImageInfo) -> Iterator[Finding]:
    """Findings of a picture that can be decoded."""
    kept = "nothing: prepare "
    if info.frames > 1 and info.format == "JPEG":
        yield Finding(where, f"a JPEG of {info.frames} frames (MPO)", f"{kept}takes the first", serious=False)
    elif info.frames > 1:
        remedy = f"{kept}takes the first; save another one as PNG if that is wrong"
        yield Finding(where, f"an animation of {info.frames} frames", remedy, serious=False)
    if min(info.size) < SMALLEST:
        small = f"{info.size[0]} x {info.size[1]} pixels, less than {SMALLEST} on one side"
        yield Finding(where, small, "find a larger one")
    if max(info.size) > 2 * min(info.size):
        yield Finding(
            where, f"{info.size[0]} x {info.size[1]} pixels: one side is more than twice the other", "crop it"
        )
    given = suffix.removeprefix(".")
    if not given:
        yield Finding(
            where, f"{info.format} data in a file without a suffix", f"{kept}reads it", serious=False
        )
    elif ALIKE.get(given, given) != FORMATS[info.format]:
        yield Finding(where, f"{info.format} data in a file with the suffix {suffix}", "rename it")
    notes = {"CMYK": "CMYK colours"} | dict.fromkeys(("RGBA", "LA", "PA"), "transparency (alpha)")
    if info.mode in notes:
        yield Finding(where, notes[info.mode], f"{kept}converts it to RGB on white", serious=False)
    odd = list(info.notes)
    if info.mode.startswith(("I", "F")):
        deep = "; ".join([f"16 bits a channel or more ({info.mode})", *odd])
        odd = []
        yield Finding(where, deep, f"{kept}scales it to 8", serious=False)
    if info.turned:
        yield Finding(where, "rotated by its EXIF orientation", f"{kept}applies it", serious=False)
    for note in odd:
        yield Finding(where, note, f"{kept}decodes it so", serious=False)


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
    loaded: list[CountTokens] = []

    def count(text: str) -> int:
        if not loaded:  # only when there is a long caption
            loaded.append(_tokenizer(Path(clip)))
        return loaded[0](text)

    return count


def _tokenizer(clip: Path) -> CountTokens:
    """Count tokens by tokenizer.json, which loads in a moment, else by the files that transformers reads."""
    file = clip / "tokenizer.json"
    try:
        if file.is_file():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(file))
            tokenizer.no_truncation()
            return lambda text: len(tokenizer.encode(text).ids)
        from transformers import CLIPTokenizer

        slow = CLIPTokenizer.from_pretrained(clip, local_files_only=True)
        return lambda text: len(slow(text, truncation=False, verbose=False)["input_ids"])
    except Exception as error:  # noqa: BLE001  # both raise anything for damaged files
        why = " ".join(str(error).split())[:200]
        raise LaureateError(f"the tokenizer in {clip} cannot be read: {why}") from None


def _words(text: str) -> int:
    """A lower bound of the number of tokens: words, start and end."""
    return len(text.split()) + 2
