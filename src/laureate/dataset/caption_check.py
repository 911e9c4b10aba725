"""Check the captions of a user's image folder: tables, files beside the pictures, and what was not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from laureate.dataset import captions, user_folder
from laureate.dataset.captions import Captions, Table
from laureate.dataset.clip_captioner import MAX_TOKENS
from laureate.dataset.findings import CountTokens, Finding
from laureate.formats.caption_tables import FILE_KEYS, TEXT_KEYS
from laureate.formats.file_names import is_outside, normalized, printable
from laureate.formats.jsonl import Row


def check(folder: Path, pictures: Sequence[Path], found: Captions, count: CountTokens) -> Iterator[Finding]:
    """Findings of all captions; `count` gives the number of tokens of a text, start and end included."""
    for table in found.tables:
        yield from _check_table(folder, table, pictures, found, count)
    yield from _check_beside(folder, pictures, found, count)
    for path in found.stray:
        remedy = "add the picture, or remove the caption"
        yield Finding(user_folder.shown(path, folder), "a caption without a picture", remedy)
    for path, used in found.beaten.items():
        problem = f"another caption than that in {printable(used.name)}, which is used"
        yield Finding(user_folder.shown(path, folder), problem, "keep one of them", serious=False)
    without = sum(caption.text is None for caption in found.by_picture.values())
    for path in found.unread:
        yield Finding(
            user_folder.shown(path, folder),
            "looks like captions, and is not read",
            _remedy_of_unread(path),
            serious=without > 0,
        )
    for path in found.mentions if without else ():
        remedy = "write them to NAME.txt beside the pictures, if it holds captions"
        yield Finding(
            user_folder.shown(path, folder), "names pictures, and is not read", remedy, serious=False
        )


def _remedy_of_unread(path: Path) -> str:
    """What to do about a file that looks like captions and is not read."""
    other = ""
    if path.suffix.lower() in (".yaml", ".yml"):
        other = "name it in prepare.captions if it maps names of pictures to captions, "
    return (
        f"{other}name it metadata.csv or .jsonl with the columns file_name and text, write NAME.txt beside "
        "the pictures, or remove it"
    )


def _check_table(
    folder: Path, table: Table, pictures: Sequence[Path], found: Captions, count: CountTokens
) -> Iterator[Finding]:
    """Compare the rows of one table with the pictures beside it."""
    name = user_folder.shown(table.path, folder)
    if table.error is not None:
        yield Finding(name, f"this table {table.error}", "correct it, or remove it")
        return
    there = {normalized(picture) for picture in pictures}
    named: set[str] = set()
    rows = [row for _, row in table.rows if row is not None]
    if rows and not any("text" in row for row in rows):
        columns = ", ".join(TEXT_KEYS[:4])
        yield Finding(name, f"has no column of captions ({columns})", "rename the column of captions")
    if not rows and len(table.rows) != 1:
        columns = ", ".join(FILE_KEYS[:4])
        remedy = 'correct it, with captions that hold a comma in "", or remove it'
        yield Finding(name, f"no row names a picture (columns {columns})", remedy)
        return
    for number, row in table.rows:
        where = f"{name}, line {number}"
        if row is None:
            remedy = "correct the line, or remove it"
            yield Finding(where, "not a JSON object with file_name and text" if name.lower().endswith("l")
                          else "not a row with file_name and text", remedy)  # fmt: skip
            continue
        file = printable(row["file_name"])
        if is_outside(row["file_name"]):
            yield Finding(where, f"file_name points out of the folder: {file!r}", "name a file beside it")
            continue
        path = captions.picture_of(table.path, row["file_name"], there)
        if path is None:
            yield Finding(where, f"there is no picture {file}", "add it, or remove the row")
        elif path in named:
            yield Finding(where, f"a second row for {file}", "keep one of them")
        named |= {path} if path else set()
        if "text" in row:
            for finding in check_text(where, row["text"] or "", count):
                yield replace(finding, problem=f"{finding.problem}, of {file}")
        elif any("text" in other for other in rows):
            yield Finding(where, f"no caption, of {file}", "write one")
    yield from _unusable(name, rows)
    for picture in pictures:
        if _nearest(picture, found) is table and normalized(picture) not in named:
            caption = found.by_picture[picture]
            if caption.text is None and caption.row is None and caption.error is None:
                where = user_folder.shown(picture, folder)
                yield Finding(where, f"no row in {name}", "add one, or remove the picture")


def _unusable(name: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Values that become empty: a year that is no number, and so on; one finding per column."""
    for key in ("id", "year", "gender", *user_folder.TEXTS):
        if key == "image":
            continue
        values = [
            row[key]
            for row in rows
            if row.get(key) not in (None, "") and user_folder.about({**row, "file_name": ""}).get(key) is None
        ]
        if values:
            what = {"year": "no number", "gender": "neither male nor female"}.get(key, "no text")
            such = printable(repr(values[0])[:60])
            problem = f"{key} is {what} in {len(values)} rows, such as {such}"
            yield Finding(name, problem, "nothing: prepare leaves it empty", serious=False)


def _nearest(picture: Path, found: Captions) -> Table | None:
    """The table in the picture's folder or the nearest above it."""
    above = [table for table in found.tables if picture.is_relative_to(table.path.parent)]
    return max(above, key=lambda table: len(table.path.parts), default=None)


def _check_beside(
    folder: Path, pictures: Sequence[Path], found: Captions, count: CountTokens
) -> Iterator[Finding]:
    """Captions in files beside pictures, and pictures without one where others have one."""
    tables = {table.path for table in found.tables}
    some = any(caption.text is not None for caption in found.by_picture.values())
    for picture in pictures:
        caption = found.by_picture[picture]
        if caption.error is not None:
            source = caption.source or picture
            yield Finding(user_folder.shown(source, folder), caption.error, "save it as UTF-8")
        elif caption.text is not None and caption.source is not None and caption.source not in tables:
            yield from check_text(user_folder.shown(caption.source, folder), caption.text, count)
        elif caption.text is None and caption.row is None and some and _nearest(picture, found) is None:
            where = user_folder.shown(picture.with_suffix(".txt"), folder)
            problem = f"{printable(picture.name)} has no caption, others have one"
            yield Finding(where, problem, "write one")


def check_text(where: str, text: str, count: CountTokens) -> Iterator[Finding]:
    """Findings of one caption."""
    if not text.strip():
        yield Finding(where, "an empty caption", "write one")
    elif len(text.encode("utf-8", "replace")) + 2 > MAX_TOKENS and count(text) > MAX_TOKENS:
        # a token is at least one byte
        yield Finding(where, f"a caption of more than {MAX_TOKENS} tokens", "shorten it")
