"""A folder of pictures that somebody brings instead of a crawl's: which there are and what they are called.

Captions are in `metadata.jsonl` (Hugging Face `imagefolder`, one table or one in each folder), in `.txt`
files beside the pictures, or nowhere.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from laureate.core.errors import LaureateError
from laureate.formats.imagefolder import METADATA, captioned
from laureate.formats.jsonl import Row

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".heic", ".avif"})
ABOUT = ("name", "gender", "year", "category", "credit", "page", "image")  # taken over where a table has them


def pictures_in(folder: Path) -> list[Path]:
    """Every picture in a folder and those below, by name. Raises LaureateError when there is none."""
    if not folder.is_dir():
        raise LaureateError(f"{folder} is no folder: name one with pictures in it")
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    found = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    if not found:
        raise LaureateError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return found


def lines_of(metadata: Path) -> Iterator[tuple[int, Row | None]]:
    """(line number, row) of a table; None for a line that is no object with `file_name` and `text`."""
    return captioned(metadata.read_text("utf-8", "replace"))


def leads_out(file: str) -> bool:
    """Whether a name of a table points out of the table's folder."""
    path = PurePosixPath(file.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in file


def plain(path: Path | str) -> str:
    """A path in one spelling: accents may be written in two ways (NFC, NFD), and file systems differ."""
    return unicodedata.normalize("NFC", str(path))


def read(folder: str | Path) -> list[Row]:
    """One row per picture, as a crawl's manifest has them, with `text` where somebody wrote a caption.

    Every picture is a person of its own, unless a table says `id`. `file` is relative to the folder. What is
    wrong with a folder, `folder_check` says; this reads what is sound. Raises LaureateError for a folder
    without pictures, and for two pictures that would get one name.
    """
    folder = Path(folder)
    pictures = pictures_in(folder)
    told = _told(folder)
    rows: list[Row] = []
    names: dict[str, str] = {}
    for path in pictures:
        file = path.relative_to(folder).as_posix()
        stem = name_of(file)
        if names.setdefault(stem.casefold(), file) != file:
            raise LaureateError(f"{folder}: {file} and {names[stem.casefold()]} have one name: rename one")
        row = told.get(plain(path), {})
        beside = path.with_suffix(".txt")
        text = row["text"] if row else beside.read_text("utf-8", "replace") if beside.is_file() else None
        data = path.read_bytes()
        rows.append(
            {
                **{"id": str(row.get("id") or stem), "name": stem, "gender": None, "year": None},
                **{"category": None, "page": None, "image": None, "credit": ""},
                **{key: row[key] for key in ABOUT if row.get(key) is not None},
                **{"kind": "brought", "file": file, "sha256": hashlib.sha256(data).hexdigest()},
                **{"size": len(data), "text": text},
            }
        )
    return rows


def name_of(file: str) -> str:
    """The name of a picture in the data set: 'tuned/a b.jpg' => 'tuned-a b'."""
    return "-".join(PurePosixPath(file).with_suffix("").parts)


def _told(folder: Path) -> dict[str, Row]:
    """Path => its row, of every table in the folder."""
    return {
        plain(metadata.parent / row["file_name"]): row
        for metadata in sorted(folder.rglob(METADATA))
        for _, row in lines_of(metadata)
        if row is not None and not leads_out(row["file_name"])
    }


def stray_texts(folder: Path, pictures: Sequence[Path]) -> list[Path]:
    """`.txt` files without a picture of their name, beside pictures that have such a file."""
    stems = {plain(path.with_suffix("")) for path in pictures}
    homes = {path.parent for path in pictures if path.with_suffix(".txt").is_file()}
    texts = sorted(path for home in homes for path in home.glob("*.txt"))
    return [path for path in texts if plain(path.with_suffix("")) not in stems]
