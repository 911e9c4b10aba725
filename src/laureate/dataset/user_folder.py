"""Read a user's image folder in place of a crawl: pictures, names and captions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.system_files import files_in
from laureate.dataset import captions
from laureate.dataset.captions import Captions
from laureate.formats.caption_tables import number_of, word_of
from laureate.formats.file_names import normalized, printable
from laureate.formats.jsonl import Row
from laureate.imaging.signatures import format_of, other_format_of

SUFFIXES = frozenset({
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
    *(".png", ".apng", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".heic", ".heif", ".avif", ".jxl"),
})  # fmt: skip
OTHER = frozenset({  # pictures to people, and not read
    *(".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".procreate", ".afphoto", ".ai", ".svg", ".eps"),
    *(".tga", ".dds", ".exr", ".hdr", ".ico", ".cur", ".icns", ".pcx", ".sgi", ".qoi", ".dib", ".wmf"),
    *(".emf", ".pdf"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".fits", ".fit", ".fts", ".dcm", ".djvu", ".pict", ".pct"),
    *(".jp2", ".j2k", ".jpf", ".jpx", ".jpm", ".jxr", ".wdp", ".hdp", ".hif", ".heics", ".heifs", ".avifs"),
    *(".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".srw", ".raf", ".orf", ".rw2", ".raw"),
    *(".pef", ".x3f", ".3fr", ".iiq", ".rwl", ".erf", ".kdc", ".dcr", ".mrw"),
})  # fmt: skip
MASKS = ("-masklabel", "-condlabel")  # OneTrainer's: they belong to a picture, and are none
TEXTS = ("name", "category", "credit", "page", "image")  # copied where a table has them
GENDERS = {"male": "male", "man": "male", "m": "male", "female": "female", "woman": "female", "f": "female"}
LONGEST_NAME = 200  # bytes: file systems take 255, and files in writing have longer names


@dataclass(frozen=True)
class Folder:
    """The files of a folder. `unread`: look like pictures and are not read; `broken`: links to nothing."""

    path: Path
    pictures: list[Path]
    others: list[Path]
    unread: list[Path]
    broken: list[Path]


def listed(folder: Path, known: str | Path | None = None) -> Folder:
    """All files of a folder and its subfolders, sorted; system files and hidden ones are left out.

    A file without a suffix is a picture if its first bytes are those of one. `known`: a file that is read by
    other means, such as `prepare.captions`, and may lie in the folder. Raises LaureateError for what
    is no folder, cannot be read, or has no picture in it.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not a folder: there is none of that name"
        raise LaureateError(f"{folder} {what}; name one with pictures in it")
    found = Folder(folder, [], [], [], [])
    for path in sorted(files_in(folder)):
        suffix = path.suffix.lower()
        if known is not None and path.resolve() == Path(known).resolve():
            continue
        if not path.is_file():
            if path.is_symlink():
                found.broken.append(path)
        elif any(path.stem.lower().endswith(mask) for mask in MASKS):
            found.unread.append(path)
        elif suffix in SUFFIXES or (not suffix and _kind(path)):
            found.pictures.append(path)
        elif suffix in OTHER or _kind(path) not in (None, "TIFF") or other_format_of(_start(path)):
            found.unread.append(path)
        else:
            found.others.append(path)
    if not found.pictures:
        raise LaureateError(f"{folder} has no picture in it ({', '.join(sorted(SUFFIXES))})")
    return found


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder and its subfolders; see `listed`."""
    return listed(folder).pictures


def captions_of(folder: Folder, embedded_prompts: bool = False) -> Captions:
    """The captions of a folder's pictures; see `captions.find`."""
    return captions.find(folder.path, folder.pictures, folder.others, embedded_prompts)


def read(folder: str | Path, embedded_prompts: bool = False) -> list[Row]:
    """One row per picture, as in a crawl's manifest, with the caption in `text` (None without one).

    Every picture is of another person, unless a table gives `id`. `file` is relative to the folder. What a
    table says of a picture and cannot be used, such as a year that is no number, is None; `folder_check`
    lists it. Raises LaureateError for a folder without pictures, and for two pictures that would get one
    name.
    """
    there = listed(Path(folder))
    found = captions_of(there, embedded_prompts)
    rows: list[Row] = []
    names: dict[str, str] = {}
    for path in there.pictures:
        file = path.relative_to(there.path).as_posix()
        stem = name_of(file)
        if names.setdefault(normalized(stem).casefold(), file) != file:
            other = names[normalized(stem).casefold()]
            raise LaureateError(f"{folder}: {file} and {other} get one name in the data set: rename one")
        caption = found.by_picture[path]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LaureateError(f"{path} cannot be read: {error.strerror or error}") from None
        rows.append(
            {
                **{"id": stem, "name": stem, "gender": None, "year": None},
                **{"category": None, "page": None, "image": None, "credit": ""},
                **about(caption.row or {}),
                **{"kind": "user", "file": file, "sha256": hashlib.sha256(data).hexdigest()},
                **{"size": len(data), "text": caption.text},
            }
        )
    return rows


def about(row: Row) -> Row:
    """What a table's row says of a picture, as a crawl's manifest does; without what cannot be used."""
    found: dict[str, Any] = {key: word_of(row.get(key)) for key in ("id", *TEXTS)}
    if row.get("image") == row.get("file_name"):  # the column that names the file, not its address
        found["image"] = None
    found["year"] = number_of(row.get("year"))
    found["gender"] = GENDERS.get((word_of(row.get("gender")) or "").lower())
    return {key: value for key, value in found.items() if value is not None}


def name_of(file: str) -> str:
    """The name of a picture in the data set: 'tuned/a b.jpg' => 'tuned-a b'.

    A name of more than `LONGEST_NAME` bytes is shortened to its end, with a hash of the whole before it.
    """
    name = "-".join(PurePosixPath(file).with_suffix("").parts)
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= LONGEST_NAME:
        return name
    start = f"{hashlib.sha256(data).hexdigest()[:12]}-"
    return start + data[-(LONGEST_NAME - len(start)) :].decode("utf-8", "ignore")


def shown(path: Path, folder: Path) -> str:
    """A path relative to the folder, for messages."""
    return printable(path.relative_to(folder).as_posix())


def _kind(path: Path) -> str | None:
    """The format that a file's first bytes are of; None for none, and where it cannot be read."""
    return format_of(_start(path))


def _start(path: Path) -> bytes:
    """The first 16 bytes of a file; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""
