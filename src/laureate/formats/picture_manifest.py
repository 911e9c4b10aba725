"""Read a manifest.json that lists the pictures a model drew, and check it row by row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text
from laureate.formats.file_names import is_there

MANIFEST = "manifest.json"
Row = dict[str, Any]
TYPES = {str: "a text", int: "a whole number"}


def read_object(path: Path, missing: str) -> Row:
    """The JSON object of a manifest. Raises LaureateError; `missing` says what to do where there is none."""
    try:
        value = json.loads(read_text(path, missing))
    except (ValueError, RecursionError) as error:
        raise LaureateError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("pictures"), list):
        raise LaureateError(f"{path} must hold an object with a list 'pictures'")
    return value


def checked_rows(
    path: Path, rows: Sequence[Any], keys: Mapping[str, type], common: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Row]]:
    """(where, row) for every row of `pictures`; `where` names file and row for messages.

    `keys`: what a row needs (str or int); `common`: values for rows that have none. Raises LaureateError for
    a row that lacks a key, a file that is not in the manifest's folder, and a file or a pair of prompt and
    seed that is there twice.
    """
    seen: set[object] = set()
    for number, given in enumerate(rows, start=1):
        where = f"{path}, picture {number}"
        row = {**(common or {}), **given} if isinstance(given, dict) else {}
        for key, kind in keys.items():
            if not isinstance(row.get(key), kind) or isinstance(row[key], bool):
                raise LaureateError(f"{where}: it needs {key}, {TYPES[kind]}")
        if not is_there(path.parent, row["file"]):
            raise LaureateError(f"{where}: there is no file {row['file']!r} in {path.parent}")
        for name in (row["file"], (row["prompt"], row["seed"])):
            if name in seen:
                raise LaureateError(f"{where}: {name!r} is there twice; one picture per prompt and seed")
            seen.add(name)
        yield where, row
