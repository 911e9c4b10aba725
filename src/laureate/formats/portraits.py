"""What a crawl brought, as values: the manifest, how much of the site was understood, what has changed."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError

Row = dict[str, Any]
MANIFEST = "portraits.jsonl"
COLUMNS = (
    *("id", "name", "gender", "year", "category", "page", "image", "credit", "kind"),
    *("file", "sha256", "size"),  # null where pictures of this kind were not asked for
)


def manifest(rows: Sequence[Row]) -> list[Row]:
    """The rows, each picture named once: where the same bytes came twice, both rows name the first file."""
    files: dict[str, str] = {}
    for row in rows:
        if row["sha256"]:
            files.setdefault(row["sha256"], row["file"])
    return [row | {"file": files.get(row["sha256"])} for row in rows]


def as_lines(rows: Iterable[Row]) -> str:
    """Rows as JSON lines, keys in the order of `COLUMNS`, letters as they are."""
    ordered = ({name: row[name] for name in COLUMNS} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ordered)


def read_manifest(path: str | Path) -> list[Row]:
    """The rows of a manifest. Raises LaureateError naming the line that is no row."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise LaureateError(f"{path} is not there: run `laureate crawl` first") from None
    except UnicodeDecodeError as error:
        raise LaureateError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            missing = [name for name in ("id", "name", "credit", "kind", "file", "sha256") if name not in row]
        except (ValueError, TypeError):
            raise LaureateError(f"{path}, line {number}: this is no JSON object: {line[:60]!r}") from None
        if not isinstance(row, dict) or missing:
            raise LaureateError(f"{path}, line {number}: {', '.join(missing) or 'everything'} is missing")
        rows.append(row)
    return rows
