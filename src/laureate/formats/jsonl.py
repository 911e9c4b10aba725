"""Read and write tables as JSON lines: one object per line, UTF-8."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from laureate.core.files import write_text

Row = dict[str, Any]


def write(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows in the order given, keys in their own order, letters of any script as they are."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def parse(text: str) -> Iterator[tuple[int, Row | None]]:
    """(line number from 1, row) per line; None for a line that is no JSON object.

    Lines end with a line feed only: JSON texts may hold U+2028 and other characters at which
    `str.splitlines` would cut.
    """
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, dict) else None
