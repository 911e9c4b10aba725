"""Read columns of a Parquet table in a process of its own: its reader, in Rust, ends the process for some
damaged files.

This file is that process too: `python parquet_columns.py NAME...`, the table on standard input, columns as
JSON on standard output. It imports nothing of the project, so that it starts in 40 ms.
"""

import io
import json
import subprocess
import sys
from typing import Any

LONGEST = 120.0  # seconds for a table
MISSING = 3  # exit status where the package is not installed


class ParquetError(Exception):
    """The table cannot be read; the text says why."""


def squeezed(name: str) -> str:
    """A column's name without case, blanks and punctuation: 'filename' of 'File Name' and 'file_name'."""
    return "".join(c for c in name.casefold() if c.isalnum())


def read(data: bytes, names: list[str]) -> tuple[int, dict[str, list[Any]]]:
    """Number of rows, and the columns whose `squeezed` name is in `names`; None for values that JSON has not.

    Raises ParquetError for a damaged table, ImportError where the package arro3-io is missing.
    """
    footer = int.from_bytes(data[-8:-4], "little") if len(data) >= 12 else len(data)
    if not (data[:4] == data[-4:] == b"PAR1") or footer > len(data) - 12:
        raise ParquetError("it is cut off, or another format")
    words = [sys.executable, "-I", __file__, *names]
    try:
        done = subprocess.run(words, input=data, capture_output=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise ParquetError(f"its reader was not done after {LONGEST:.0f} s") from None
    if done.returncode == MISSING:
        raise ImportError("arro3-io")
    if done.returncode:
        raise ParquetError("it is damaged")
    found = json.loads(done.stdout)
    if "error" in found:
        raise ParquetError(found["error"])
    return found["rows"], found["columns"]


def main(names: list[str]) -> int:
    """Write what `read` gives => exit status. A panic of the reader is no Exception, or ends the process."""
    try:
        from arro3.io import read_parquet
    except ImportError:
        return MISSING
    try:
        table = read_parquet(io.BytesIO(sys.stdin.buffer.read())).read_all()
        columns = {
            name: [plain(value) for value in table.column(name).to_pylist()]
            for name in table.column_names
            if squeezed(name) in names
        }
        written = json.dumps({"rows": table.num_rows, "columns": columns})
    except BaseException as error:  # noqa: BLE001  # said by the other process
        written = json.dumps({"error": " ".join(str(error).split())[:200]})
    sys.stdout.write(written)
    return 0


def plain(value: Any) -> Any:
    """A value that JSON has; of a picture with its bytes the path; None for others."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return {"path": plain(value.get("path"))} if isinstance(value, dict) and "path" in value else None
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
