"""Read tables of captions as Hugging Face's imagefolder has them: metadata.jsonl, .csv or .parquet."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.text_files import TextError, decode_text
from laureate.formats import jsonl, parquet_columns
from laureate.formats.jsonl import Row
from laureate.formats.parquet_columns import squeezed

# names of columns, in this order where a table has several; case, blanks and punctuation do not matter
FILE_KEYS = ("file_name", "file", "image", "path", "file_path", "image_path", "image_file", "image_file_name",
             "image_name", "img", "img_path", "img_name", "picture", "photo")  # fmt: skip
TEXT_KEYS = ("text", "caption", "cap", "prompt", "captions", "description", "caption_text", "alt_text", "txt")
ABOUT = ("id", "name", "gender", "year", "category", "credit", "page")
STEM = "metadata"
SUFFIXES = (".jsonl", ".csv", ".parquet")
LARGEST = 2**28  # bytes of a table


def is_table(path: Path) -> bool:
    """Whether a file is a table of captions by its name, in any case."""
    return path.stem.lower() == STEM and path.suffix.lower() in SUFFIXES


def read_table(path: Path) -> list[tuple[int, Row | None]]:
    """(line number, row) of a table; `file_name` and `text` are added whatever their columns are called.

    None for a row that names no file. `text` is missing where the table has no column of captions, and None
    where the row has no caption. Raises LaureateError for a table that cannot be read as a whole.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise LaureateError(f"{path} is larger than {LARGEST // 2**20} MiB: split it")
        data = path.read_bytes()
    except OSError as error:
        raise LaureateError(f"{path} cannot be read: {error.strerror or error}") from None
    return parse_table(data, path)


def parse_table(data: bytes, path: Path) -> list[tuple[int, Row | None]]:
    """`read_table` of bytes; the suffix of `path` says what they are, and errors name it."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            rows: Iterator[tuple[int, Row | None]] = _parquet(data, path)
        elif suffix == ".csv":
            rows = _csv(decode_text(data))
        else:
            rows = _lines(decode_text(data))
        return [(number, None if row is None else with_known_names(row)) for number, row in rows]
    except TextError as error:
        raise LaureateError(f"{path} is {error}; save it as UTF-8") from None
    except csv.Error as error:
        raise LaureateError(f"{path} cannot be read as CSV: {error}") from None


def with_known_names(row: Mapping[str, Any]) -> Row | None:
    """A row with `file_name` and, where there is a column of captions, `text`; None if it names no file.

    Known names are found however they are spelt: `File Name` is `file_name`. The caption is the first of
    `TEXT_KEYS` that is not empty.
    """
    row = {**_spelt(row), **row}
    file = next((row[key] for key in FILE_KEYS if isinstance(row.get(key), (str, dict))), None)
    if isinstance(file, dict):  # an Image of `datasets`
        file = file.get("path")
    if not isinstance(file, str) or not file.strip():
        return None
    found = {**row, "file_name": file.strip()}
    if any(key in row for key in TEXT_KEYS):
        found["text"] = caption_of(row)
    return found


def known_name(column: str) -> str | None:
    """The known name of a column, such as 'file_name' for 'File Name' and 'fileName'; None for others."""
    return _SQUEEZED.get(squeezed(column))


def caption_of(value: Any) -> str | None:
    """The caption in a row of a table or in a JSON file: a text, or the first of `TEXT_KEYS` that has one.

    Of several captions of one picture, a list, the first. None where there is none.
    """
    if isinstance(value, str):
        return word_of(value)
    if not isinstance(value, Mapping):
        return None
    spelt = _spelt(value)
    for key in TEXT_KEYS:
        text = spelt.get(key)
        if isinstance(text, list):
            text = next(iter(text), None)
        if (word := word_of(text)) is not None:
            return word
    return None


def _spelt(row: Mapping[str, Any]) -> Row:
    """Known name => value of a row; of two columns that are spelt alike the first."""
    return {known: row[key] for key in reversed(list(row)) if (known := known_name(key))}


_SQUEEZED = {squeezed(name): name for name in (*FILE_KEYS, *TEXT_KEYS, *ABOUT)}


def as_utf8(text: str) -> str:
    """A text that can be written: halves of surrogate pairs, which JSON may hold, become '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def number_of(value: Any) -> int | None:
    """A year or another whole number, from a number or a text of one; None for everything else."""
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 10**6 else None


def word_of(value: Any) -> str | None:
    """A text, or a number as text; None for everything else, NaN and empty texts."""
    if isinstance(value, str):
        return as_utf8(value.strip()) or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    return f"{value:g}" if math.isfinite(value) else None


def _lines(text: str) -> Iterator[tuple[int, Row | None]]:
    """Rows of JSON lines; empty lines between them are no rows."""
    empty = {number for number, line in enumerate(text.split("\n"), start=1) if not line.strip()}
    return ((number, row) for number, row in jsonl.parse(text) if number not in empty)


def _csv(text: str) -> Iterator[tuple[int, Row | None]]:
    """Rows of a CSV table, by comma, semicolon, tab or bar, whichever its first line has most of.

    A line `sep=;` before the names of the columns, as Excel has it, says the same.
    """
    text = text.lstrip("\r\n")
    if said := re.match(r"sep=(.)(?:\r\n|\r|\n)+", text):
        text = text[said.end() :]
    delimiter = said[1] if said else max(",;\t|", key=re.split(r"[\r\n]", text, maxsplit=1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not names:
            names = [cell.strip() for cell in cells]
            continue
        row: Row = {name: cell for name, cell in zip(names, cells, strict=False) if name and cell != ""}
        row |= {name: None for name in names if name and name not in row}
        yield reader.line_num, row if len(cells) <= len(names) else None


def _parquet(data: bytes, path: Path) -> Iterator[tuple[int, Row | None]]:
    """Rows of a Parquet table; columns of pictures are left out."""
    try:
        count, columns = parquet_columns.read(data, list(_SQUEEZED))
    except ImportError:
        raise LaureateError(
            f"{path} needs the package arro3-io: pip install arro3-io, or save the table as metadata.csv"
        ) from None
    except parquet_columns.ParquetError as error:
        raise LaureateError(f"{path} cannot be read as Parquet: {error}") from None
    for number in range(count):
        yield number + 1, {name: cells[number] for name, cells in columns.items()}
