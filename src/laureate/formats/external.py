"""Models that are drawn elsewhere: a folder of pictures, and a manifest that says what each one answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.paths import EXTERNAL
from laureate.formats.prompts import Prompt

MANIFEST = "manifest.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Pictures:
    """What a model has drawn, and what it has not."""

    drawn: list[Row]  # file, prompt, text, seed, source; as in data/samples
    missing: list[Row]  # prompt, seed, reason: refused or failed, so never a picture


def read(model: str, asked: Sequence[Prompt]) -> Pictures:
    """data/external/MODEL/manifest.json, checked row by row against the prompts of the study.

    Every row of `pictures` has file, prompt (an id), seed, and source (where it is from; one for all may
    stand beside `pictures`); `text` is filled in. `missing` may list what was asked and never came.
    Raises LaureateError naming the file and the row: no manifest, a file that is not there or lies outside
    the folder, an unknown prompt, a picture twice, no picture at all.
    """
    folder = EXTERNAL / model
    manifest = _manifest(folder / MANIFEST)
    texts = {prompt.id: prompt.text for prompt in asked}
    drawn: list[Row] = []
    seen: set[object] = set()
    for number, row in enumerate(manifest["pictures"], start=1):
        where = f"{folder / MANIFEST}, picture {number}"
        row = {"source": manifest.get("source"), **row} if isinstance(row, dict) else {}
        for key, kind in (("file", str), ("prompt", str), ("seed", int), ("source", str)):
            if not isinstance(row.get(key), kind) or isinstance(row[key], bool):
                raise LaureateError(
                    f"{where}: it needs {key}, {'a whole number' if kind is int else 'a text'}"
                )
        if row["prompt"] not in texts:
            raise LaureateError(f"{where}: there is no prompt {row['prompt']!r} in sample.prompts; remove it")
        file = folder / row["file"]
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise LaureateError(f"{where}: there is no file {row['file']!r} in {folder}")
        for name in (row["file"], (row["prompt"], row["seed"])):
            if name in seen:
                raise LaureateError(f"{where}: {name!r} is there twice; one picture per prompt and seed")
            seen.add(name)
        drawn.append({**row, "text": texts[row["prompt"]]})
    if not drawn:
        raise LaureateError(f"{folder / MANIFEST} lists no picture, so {model} cannot be scored")
    return Pictures(drawn, [row for row in manifest.get("missing", []) if isinstance(row, dict)])


def _manifest(path: Path) -> Row:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaureateError(
            f"{path} does not exist; put the pictures there with their manifest (data/external/README.md), "
            f"or run `laureate images --model {path.parent.name}`"
        ) from None
    except (OSError, ValueError) as error:
        raise LaureateError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("pictures"), list):
        raise LaureateError(f"{path} must hold an object with a list 'pictures'")
    return value
