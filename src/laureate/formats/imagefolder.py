"""The data set as a Hugging Face imagefolder: rows of metadata.jsonl, checked, and its fingerprint."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file

if TYPE_CHECKING:
    pass


def read_metadata(folder: Path) -> list[dict[str, Any]]:
    """The rows of `metadata.jsonl` in an imagefolder, in the order of their file names.

    Raises LaureateError naming file and row: missing, empty, not JSON, no `file_name` or `text`, no picture.
    """
    path = folder / "metadata.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise LaureateError(f"there is no {path}; run `laureate prepare` first") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            complete = isinstance(row["file_name"], str) and isinstance(row["text"], str)
        except (json.JSONDecodeError, KeyError, TypeError):
            complete = False
        if not complete:
            raise LaureateError(
                f"{path}, row {number} must be JSON with file_name and text; run `laureate prepare` again"
            )
        if not (folder / row["file_name"]).is_file():
            raise LaureateError(
                f"{path}, row {number}: there is no picture {row['file_name']}; run `laureate prepare` again"
            )
        rows.append(row)
    if not rows:
        raise LaureateError(f"{path} names no picture; run `laureate prepare` again")
    return sorted(rows, key=lambda row: str(row["file_name"]))


def dataset_fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of all files of the data set."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
