"""Read and write the crawl's manifest, portraits.jsonl: one row per portrait on the site."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text
from laureate.formats import jsonl
from laureate.formats.jsonl import Row

MANIFEST = "portraits.jsonl"
COLUMNS = (
    *("id", "name", "gender", "year", "category", "page", "image", "credit", "kind"),
    *("file", "sha256", "size"),  # null where pictures of this kind were not asked for
)
REQUIRED = ("id", "name", "year", "category", "credit", "kind", "file", "sha256")


def with_shared_files(rows: Sequence[Row]) -> list[Row]:
    """The rows, each picture stored once: rows with the same bytes (`sha256`) name the first one's file."""
    files: dict[str, str] = {}
    for row in rows:
        if row["sha256"]:
            files.setdefault(row["sha256"], row["file"])
    return [row | {"file": files.get(row["sha256"])} for row in rows]


def write_manifest(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as JSON lines, keys in the order of `COLUMNS`."""
    jsonl.write(path, ({name: row[name] for name in COLUMNS} for row in rows))


def read_manifest(path: str | Path) -> list[Row]:
    """The rows of a manifest. Raises LaureateError naming the file and the line that is not a row."""
    rows: list[Row] = []
    for number, row in jsonl.parse(read_text(path, "run `laureate crawl` first")):
        if row is None:
            raise LaureateError(f"{path}, line {number} is not a JSON object; run `laureate crawl` again")
        missing = ", ".join(name for name in REQUIRED if name not in row)
        if missing:
            raise LaureateError(f"{path}, line {number} lacks {missing}; run `laureate crawl` again")
        rows.append(row)
    return rows
