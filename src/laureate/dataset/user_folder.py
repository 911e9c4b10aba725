"""Read a user's image folder in place of a crawl: pictures, names and captions.

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
OPTIONAL = ("name", "gender", "year", "category", "credit", "page", "image")  # copied where a table has them


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in a folder and its subfolders, sorted; hidden ones are ignored.

    Raises LaureateError when there is none.
    """
    if not folder.is_dir():
        raise LaureateError(f"{folder} is not a folder: name one with pictures in it")
    pictures = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    pictures = [p for p in pictures if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    if not pictures:
        raise LaureateError(f"{folder} has no picture in it ({', '.join(sorted(SUFFIXES))})")
    return pictures


def metadata_rows(metadata: Path) -> Iterator[tuple[int, Row | None]]:
    """(line number, row) of a table; None for a line that is no object with `file_name` and `text`."""
    return captioned(metadata.read_text("utf-8", "replace"))


def is_outside(file: str) -> bool:
    """Whether a `file_name` points out of the folder of its table."""
    path = PurePosixPath(file.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in file


def normalized(path: Path | str) -> str:
    """A path in Unicode form NFC, for comparison: some file systems store names in NFD."""
    return unicodedata.normalize("NFC", str(path))


def read(folder: str | Path) -> list[Row]:
    """One row per picture, as in a crawl's manifest, with the caption in `text` (None without one).

    Every picture is of another person, unless a table gives `id`. `file` is relative to the folder. Rows of a
    table that are not valid are ignored here; `folder_check` lists them. Raises LaureateError for a folder
    without pictures, and for two pictures that would get one name.
    """
    folder = Path(folder)
    pictures = pictures_in(folder)
    captions = _caption_rows(folder)
    rows: list[Row] = []
    names: dict[str, str] = {}
    for path in pictures:
        file = path.relative_to(folder).as_posix()
        stem = name_of(file)
        if names.setdefault(stem.casefold(), file) != file:
            raise LaureateError(
                f"{folder}: {file} and {names[stem.casefold()]} get one name in the data set: rename one"
            )
        row = captions.get(normalized(path), {})
        text_file = path.with_suffix(".txt")
        text = row.get("text")
        if not row and text_file.is_file():
            text = text_file.read_text("utf-8", "replace")
        data = path.read_bytes()
        rows.append(
            {
                **{"id": str(row.get("id") or stem), "name": stem, "gender": None, "year": None},
                **{"category": None, "page": None, "image": None, "credit": ""},
                **{key: row[key] for key in OPTIONAL if row.get(key) is not None},
                **{"kind": "user", "file": file, "sha256": hashlib.sha256(data).hexdigest()},
                **{"size": len(data), "text": text},
            }
        )
    return rows


def name_of(file: str) -> str:
    """The name of a picture in the data set: 'tuned/a b.jpg' => 'tuned-a b'."""
    return "-".join(PurePosixPath(file).with_suffix("").parts)


def _caption_rows(folder: Path) -> dict[str, Row]:
    """Normalized path of a picture => its row, from all tables in the folder."""
    return {
        normalized(metadata.parent / row["file_name"]): row
        for metadata in sorted(folder.rglob(METADATA))
        for _, row in metadata_rows(metadata)
        if row is not None and not is_outside(row["file_name"])
    }


def stray_texts(folder: Path, pictures: Sequence[Path]) -> list[Path]:
    """`.txt` files without a picture of their name, in folders where pictures have such files."""
    stems = {normalized(path.with_suffix("")) for path in pictures}
    homes = {path.parent for path in pictures if path.with_suffix(".txt").is_file()}
    texts = sorted(path for home in homes for path in home.glob("*.txt"))
    return [path for path in texts if normalized(path.with_suffix("")) not in stems]
