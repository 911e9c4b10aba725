"""Read and write the data set, a Hugging Face imagefolder with captions, and take its fingerprint."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.system_files import files_in
from laureate.core.text_files import read_text
from laureate.formats import jsonl
from laureate.formats.file_names import is_there
from laureate.formats.jsonl import Row

METADATA = "metadata.jsonl"  # the table in every part: file_name, text and more
LEFT_OUT = "left_out.jsonl"  # the pictures that are in no part: file, reason
PARTS = ("train", "holdout")
AGAIN = "run `laureate prepare` again"
FIRST = "run `laureate prepare` first"


def write_metadata(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table of one part; every row has `file_name` and `text`."""
    jsonl.write(folder / METADATA, rows)


def read_metadata(folder: Path) -> list[Row]:
    """The rows of one part, in the order of the table.

    Raises LaureateError naming file and row: missing, empty, not JSON, no `file_name` or `text`, no picture.
    """
    path = folder / METADATA
    rows: list[Row] = []
    for number, row in captioned(read_text(path, FIRST)):
        if row is None or not isinstance(row["text"], str):
            raise LaureateError(f"{path}, row {number} must be JSON with file_name and text; {AGAIN}")
        if not is_there(folder, row["file_name"]):
            raise LaureateError(f"{path}, row {number}: there is no picture {row['file_name']}; {AGAIN}")
        rows.append(row)
    if not rows:
        raise LaureateError(f"{path} names no picture; {AGAIN}")
    return rows


def captioned(text: str) -> Iterator[tuple[int, Row | None]]:
    """(line number, row) of a metadata table; None for a line that has no `file_name` and `text`."""
    for number, row in jsonl.parse(text):
        complete = row is not None and isinstance(row.get("file_name"), str) and "text" in row
        yield number, row if complete else None


def write_left_out(dataset: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write what is in no part of the data set: {file, reason}."""
    jsonl.write(dataset / LEFT_OUT, rows)


def read_left_out(dataset: Path) -> list[Row]:
    """The pictures that prepare left out, as {file, reason}; empty where there is no such table.

    Raises LaureateError naming the row that is not of that form.
    """
    path = dataset / LEFT_OUT
    if not path.exists():
        return []
    rows: list[Row] = []
    for number, row in jsonl.parse(read_text(path, FIRST)):
        if row is None or not all(isinstance(row.get(key), str) for key in ("file", "reason")):
            raise LaureateError(f"{path}, row {number} must be JSON with file and reason; {AGAIN}")
        rows.append(row)
    return rows


def dataset_fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of all files of the data set; system files do not count."""
    files = sorted(path for path in files_in(folder) if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
