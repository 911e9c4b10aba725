"""Find the captions of a user's image folder: tables, files beside the pictures, the prompts in pictures.

A picture takes its caption from the nearest table that names it, else from a file of its name.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.text_files import TextError, decode_text
from laureate.dataset.caption_lookalikes import (
    LONGEST,
    NOTES,
    SIDECARS,
    looks_like_captions,
    speaks_of_pictures,
)
from laureate.formats import caption_tables, generation_metadata
from laureate.formats.file_names import is_outside, normalized
from laureate.formats.jsonl import Row
from laureate.imaging.headers import read_header


@dataclass(frozen=True)
class Table:
    """One table and its rows: (line, row or None)."""

    path: Path
    rows: Sequence[tuple[int, Row | None]]
    error: str | None = None  # why it cannot be read


@dataclass(frozen=True)
class Caption:
    """What is known of one picture: the row of its table, its caption and the file that this is from."""

    row: Row | None = None
    text: str | None = None
    source: Path | None = None
    error: str | None = None  # why the file beside the picture cannot be read


@dataclass(frozen=True)
class Captions:
    """All captions of a folder."""

    by_picture: Mapping[Path, Caption]
    tables: Sequence[Table] = ()
    unread: Sequence[Path] = ()  # look like captions and are not read
    stray: Sequence[Path] = ()  # a caption file without its picture
    beaten: Mapping[Path, Path] = field(default_factory=dict)  # a second caption file => the one that is used
    mentions: Sequence[Path] = ()  # other texts that name pictures

    def sources(self) -> Counter[str]:
        """Where the captions are from, such as '.txt' or 'metadata.csv' => their number."""
        return Counter(
            "prompts in the pictures" if found.source == path
            else found.source.name if caption_tables.is_table(found.source)
            else found.source.suffix.lower()
            for path, found in self.by_picture.items()
            if found.text is not None and found.source is not None
        )  # fmt: skip


def find(
    folder: Path, pictures: Sequence[Path], others: Iterable[Path], embedded_prompts: bool = False
) -> Captions:
    """The captions of `pictures`; `others` are the remaining files of the folder.

    `embedded_prompts`: a picture without another caption gives the prompt that its program wrote into it.
    """
    others = [path for path in others if path.is_file()]
    tables = [_table(path) for path in others if caption_tables.is_table(path)]
    beaten: dict[Path, Path] = {}
    rows = _rows(tables, pictures, beaten)
    sidecars = {
        _key(path): path for path in others if path.suffix.lower() in SIDECARS and path.is_file()
    }  # lower case, so that NAME.TXT is found
    found: dict[Path, Caption] = {}
    used: set[Path] = {table.path for table in tables}
    for picture in pictures:
        row, source = rows.get(normalized(picture), (None, None))
        text = row.get("text") if row else None
        beside = [sidecars[name] for name in _names(picture) if name in sidecars]
        error = None
        for path in beside:
            caption, why = _sidecar(path)
            if caption is None and why is None:  # a JSON file of something else
                continue
            used.add(path)
            if text is not None:  # the table's, or that of an earlier file
                if caption is not None and one_line(caption) != one_line(text) and source is not None:
                    beaten[path] = source
            elif error is None:
                text, error, source = caption, why, path
        if text is None and error is None and embedded_prompts:
            text = prompt_of(picture)
            source = picture if text is not None else source
        found[picture] = Caption(row, None if text is None else one_line(text), source, error)
    stray = _stray(sidecars.values(), used, found)
    named = {name for picture in pictures for name in (picture.name.lower(), picture.stem.lower())}
    left = [path for path in others if path not in used and path not in stray]
    unread = [path for path in left if looks_like_captions(path, named, len(pictures))]
    mentions = [
        path for path in left if path not in unread and speaks_of_pictures(path, named, len(pictures))
    ]
    return Captions(found, tables, unread, stray, beaten, mentions)


def one_line(text: str) -> str:
    """A caption without line ends, blanks around it and byte order marks; other characters, U+2028 too, stay.

    Programs that join files leave a byte order mark in the middle. What has nothing to be seen is empty.
    """
    text = re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", text.replace("\ufeff", "").strip())
    return text if any(not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc") for c in text) else ""


def prompt_of(picture: Path) -> str | None:
    """The prompt that A1111, Forge, ComfyUI or InvokeAI wrote into a picture; None without one."""
    try:
        return generation_metadata.of_png_text(read_header(picture)[1]).prompt
    except (OSError, ValueError):
        return None


def _table(path: Path) -> Table:
    try:
        return Table(path, caption_tables.read_table(path))
    except LaureateError as error:
        return Table(path, (), str(error).removeprefix(f"{path} "))


def picture_of(table: Path, file: str, there: Iterable[str] | Mapping[str, Path]) -> str | None:
    """The normalized path of the picture that a row names: beside its table, or in `images/` there."""
    if is_outside(file):
        return None
    files = [file, file.replace("\\", "/")]  # the second as Windows writes it
    places = [table.parent / part / name for part in ("", "images") for name in files]
    return next((name for name in map(normalized, places) if name in there), None)


def _rows(
    tables: Sequence[Table], pictures: Sequence[Path], beaten: dict[Path, Path]
) -> dict[str, tuple[Row, Path]]:
    """Normalized path of a picture => its row and table: that of the nearest table, its first row.

    Adds to `beaten` a table that says something else of a picture than another one beside it, which is used.
    """
    there = {normalized(picture): picture for picture in pictures}
    found: dict[str, tuple[Row, Path]] = {}
    for table in sorted(tables, key=lambda table: len(table.path.parts), reverse=True):
        for _, row in table.rows:
            name = None if row is None else picture_of(table.path, row["file_name"], there)
            if row is not None and name is not None:
                first, source = found.setdefault(name, (row, table.path))
                beside = source.parent == table.path.parent and source != table.path
                if beside and (row.get("text") or "") != (first.get("text") or ""):
                    beaten[table.path] = source
    return found


def _key(path: Path) -> str:
    """A caption file's place and name in lower case; its folder as it is."""
    return f"{normalized(path.parent)}/{normalized(path.name).lower()}"


def _names(picture: Path) -> list[str]:
    """Keys of the caption files that a picture may have: NAME.txt, NAME.jpg.txt, and so on."""
    place = normalized(picture.parent)
    stems = (normalized(picture.stem).lower(), normalized(picture.name).lower())
    return [f"{place}/{stem}{suffix}" for suffix in SIDECARS for stem in stems]


def _sidecar(path: Path) -> tuple[str | None, str | None]:
    """(caption, None), or (None, why it cannot be read); (None, None) for a JSON file without a caption."""
    try:
        if path.stat().st_size > LONGEST:
            return None, "a caption file of more than 1 MiB"
        text = decode_text(path.read_bytes())
    except TextError as error:
        return None, f"a caption that is {error}"
    except OSError as error:
        return None, f"a caption that cannot be read: {error.strerror or error}"
    if path.suffix.lower() != ".json":
        return text, None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    return caption_tables.caption_of(value), None


def _stray(sidecars: Iterable[Path], used: set[Path], found: Mapping[Path, Caption]) -> list[Path]:
    """Caption files without a picture, in folders where pictures have such files."""
    homes = {
        (caption.source.parent, caption.source.suffix.lower())
        for caption in found.values()
        if caption.source is not None and caption.source in used
    }
    return sorted(
        path
        for path in sidecars
        if path not in used
        and (path.parent, path.suffix.lower()) in homes
        and path.suffix.lower() != ".json"
        and not NOTES.fullmatch(path.name)
    )
