"""Leave portraits out of the data set, with the reason: unknown kind, equal bytes, near-duplicates."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.system_files import is_system_file
from laureate.formats.jsonl import Row
from laureate.imaging.near_duplicates import Hash, distance, near_duplicates


def check_files(rows: Sequence[Row], folder: str | Path, manifest: str) -> None:
    """Check that the manifest's rows and the folder's files match.

    Raises LaureateError for a row whose picture is missing or has other bytes, and for a file without a row.
    """
    folder = Path(folder)
    named = {row["file"] for row in rows if row["file"] is not None}
    there = {path.name for path in folder.iterdir() if not is_system_file(path.name)} - {manifest}
    for file in sorted(named - there):
        raise LaureateError(
            f"{folder / manifest} names {file}, which is not there: run `laureate crawl` again"
        )
    for file in sorted(there - named):
        raise LaureateError(
            f"{folder / file} has no row in {manifest}: remove it, or run `laureate crawl` again"
        )
    for row in rows:
        if row["file"] is None:
            continue
        if hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() != row["sha256"]:
            raise LaureateError(
                f"{folder / row['file']} differs from its sha256 in {manifest}: run `laureate crawl` again"
            )


def usable(rows: Iterable[Row]) -> tuple[list[Row], list[dict[str, str]]]:
    """Rows whose picture can be used, and {file, reason} for the others."""
    good: list[Row] = []
    left_out: list[dict[str, str]] = []
    seen: dict[str, str] = {}  # sha256 => name of the first picture with it
    for row in rows:
        name = row["file"] or f"{row['id']}-{row['year']}-{row['category']}"
        if row["kind"] == "unknown":
            left_out.append(_left_out(name, f"the credit line does not say what it is: {row['credit']!r}"))
        elif row["file"] is None:
            left_out.append(_left_out(name, f"a {row['kind']} by its credit line, not asked for"))
        elif row["sha256"] in seen:
            key = f"{row['id']}-{row['year']}-{row['category']}"
            left_out.append(_left_out(key, f"the same bytes as {seen[row['sha256']]}"))
        else:
            seen[row["sha256"]] = name
            good.append(row)
    return good, left_out


def without_near_duplicates(
    rows: Sequence[Row], hashes: Mapping[str, Hash], near: float
) -> tuple[list[Row], list[dict[str, str]]]:
    """Rows whose picture is no near-duplicate of an earlier row's, and {file, reason} for the others."""
    originals = dict(near_duplicates({row["file"]: hashes[row["file"]] for row in rows}, near))
    left_out = [
        _left_out(
            file,
            f"nearly the same picture as {original} ({distance(hashes[file], hashes[original]):.0%} of the "
            "perceptual hash differs)",
        )
        for file, original in originals.items()
    ]
    return [row for row in rows if row["file"] not in originals], left_out


def _left_out(file: str, reason: str) -> dict[str, str]:
    return {"file": file, "reason": reason}
