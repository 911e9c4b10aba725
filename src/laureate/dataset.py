"""Which pictures train and which are held out, and what would make that a lie. Pure functions of values."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from laureate.errors import LaureateError

SIDES = ("train", "holdout")
Row = dict[str, Any]


def side(laureate: str, holdout: float, seed: int) -> str:
    """`train` or `holdout`, by a hash of laureate and seed alone.

    So a laureate never changes side when others come or go, and all pictures of one laureate are on one side.
    `holdout` is the share to hold out, 0..1; the split meets it on average.
    """
    digest = hashlib.sha256(f"{seed}:{laureate}".encode()).digest()
    return "holdout" if int.from_bytes(digest[:8], "big") < holdout * 2**64 else "train"


def check_files(rows: Sequence[Row], folder: str | Path, manifest: str) -> None:
    """Hold the manifest's rows against the folder, in both directions.

    Raises LaureateError for a row whose picture is missing or has other bytes, and for a file without a row.
    """
    folder = Path(folder)
    named = {row["file"] for row in rows if row["file"] is not None}
    there = {path.name for path in folder.iterdir()} - {manifest}
    for file in sorted(named - there):
        raise LaureateError(
            f"{folder / manifest} names {file}, which is not there: run `laureate crawl` again"
        )
    for file in sorted(there - named):
        raise LaureateError(f"{folder / file} has no row in {manifest}: take it away or crawl again")
    for row in rows:
        if row["file"] is None:
            continue
        found = hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest()
        if found != row["sha256"]:
            raise LaureateError(f"{folder / row['file']} is not what {manifest} says (sha256): crawl again")


def usable(rows: Iterable[Row]) -> tuple[list[Row], list[dict[str, str]]]:
    """Rows whose picture can be used, and {file, reason} for the others."""
    good: list[Row] = []
    left_out: list[dict[str, str]] = []
    seen: dict[str, str] = {}  # sha256 => whose picture it is
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


def check_split(
    rows: Mapping[str, Sequence[Row]], pixels: Mapping[str, str], least: Mapping[str, int]
) -> None:
    """The guards of a split: `rows` and `least` by side; `pixels` maps a file to the hash of its pixels.

    Raises LaureateError for too few pictures on a side, and for a picture or laureate on both.
    """
    for name in SIDES:
        if len(rows[name]) < least[name]:
            raise LaureateError(
                f"{name} has {len(rows[name])} pictures, at least {least[name]} are wanted: "
                f"crawl more, or change prepare.min_{name} or prepare.holdout"
            )
    train = {pixels[row["file_name"]]: row["file_name"] for row in rows["train"]}
    for row in rows["holdout"]:
        if pixels[row["file_name"]] in train:
            twin = train[pixels[row["file_name"]]]
            raise LaureateError(f"train/{twin} and holdout/{row['file_name']} are the same picture")
    both = {row["id"] for row in rows["train"]} & {row["id"] for row in rows["holdout"]}
    if both:
        raise LaureateError(f"laureate {min(both)} is on both sides of the split")


def check_prompts(rows: Sequence[Row], prompts: Iterable[str]) -> None:
    """Raise LaureateError when a prompt is a training caption: a score would then measure memory."""
    captions = {_plain(row["text"]): row["file_name"] for row in rows}
    for prompt in prompts:
        if _plain(prompt) in captions:
            file = captions[_plain(prompt)]
            raise LaureateError(f"the prompt {prompt!r} is the training caption of {file}: change the prompt")


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _left_out(file: str, reason: str) -> dict[str, str]:
    return {"file": file, "reason": reason}


def _plain(text: str) -> str:
    """Letters and digits only, in lower case."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
