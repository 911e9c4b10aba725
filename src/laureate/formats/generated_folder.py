"""A folder of generated pictures: its files, their sizes, and how each was made. Reads headers only."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.core.text_files import TextError, decode_text
from laureate.formats import generation_metadata
from laureate.formats.generation_metadata import Generation
from laureate.imaging.headers import read_header

TABLES = {"metadata.jsonl": False, "manifest.json": True}  # name => whether it is a manifest of ours


@dataclass(frozen=True)
class Entry:
    """One picture of a folder, not decoded yet."""

    file: Path
    size: tuple[int, int]  # pixels, (width, height)
    made: Generation


def read(folder: Path, files: Sequence[Path]) -> tuple[list[Entry], list[tuple[Path, str]]]:
    """What is known of `files`, pictures in `folder` => (entries, what cannot be read and why).

    Pictures that a table lists come in its order, the others after them by name.
    """
    rows = _rows(folder)
    listed = {path: place for place, path in enumerate(rows)}
    found, unreadable = [], []
    for file in sorted(files, key=lambda path: (listed.get(_plain(path), len(listed)), str(path))):
        try:
            size, text = read_header(file)
        except (OSError, ValueError) as error:
            unreadable.append((file, str(error) or type(error).__name__))
            continue
        row = rows.get(_plain(file))
        found.append(Entry(file, size, generation_metadata.of_picture(file.name, text, row)))
    return found, unreadable


def cells(entries: Iterable[Entry], by: str) -> Mapping[str, list[Entry]]:
    """Entries by a setting, such as "steps" => "steps 20": those with 20; those without it are left out.

    In the order of the values, numbers first.
    """
    found: dict[Any, list[Entry]] = {}
    for entry in entries:
        value = entry.made.settings.get(by)
        if value is not None:
            found.setdefault(float(value) if isinstance(value, int) else value, []).append(entry)
    order = sorted(found, key=lambda value: (isinstance(value, str), value))
    return {
        f"{by} {value:g}" if isinstance(value, float) else f"{by} {value}": found[value] for value in order
    }


def axes(entries: Sequence[Entry]) -> list[str]:
    """Settings with 2 values or more, and two pictures or more per value: what `cells` is for."""
    values: dict[str, set[object]] = {}
    for entry in entries:
        for key, value in entry.made.settings.items():
            values.setdefault(key, set()).add(value)
    return sorted(key for key, found in values.items() if 1 < len(found) <= len(entries) / 2)


def _rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Path => its row, of every table in the folder and those below, in their order."""
    found: dict[str, dict[str, Any]] = {}
    for name, manifest in TABLES.items():
        for table in sorted(folder.rglob(name)):
            data = table.read_bytes()
            try:
                text = decode_text(data)
            except TextError:
                text = data.decode("utf-8", "replace")
            for row in generation_metadata.table(text, manifest):
                found.setdefault(_plain(table.parent / row["file_name"]), row)
    return found


def _plain(path: Path) -> str:
    """A path in one spelling: accents may be written in two ways (NFC, NFD), and file systems differ."""
    return unicodedata.normalize("NFC", str(path))
