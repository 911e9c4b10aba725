"""Read the pictures of models drawn elsewhere: data/external/MODEL with its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from laureate.core.errors import LaureateError
from laureate.core.paths import EXTERNAL
from laureate.formats.picture_manifest import MANIFEST, Row, checked_rows, read_object
from laureate.formats.prompts import Prompt

__all__ = ["MANIFEST", "Pictures", "read"]


@dataclass(frozen=True)
class Pictures:
    """The pictures of one model, and the prompts for which there is none."""

    drawn: list[Row]  # file, prompt, text, seed, source; as in data/samples
    missing: list[Row]  # prompt, seed, reason: refused or failed, so never a picture


def read(model: str, asked: Sequence[Prompt]) -> Pictures:
    """data/external/MODEL/manifest.json, checked row by row against the prompts of the study.

    Every row of `pictures` has file, prompt (an id), seed, and source (where it is from; one for all may
    stand beside `pictures`); `text` is filled in. `missing` may list what was asked and never came.
    Raises LaureateError naming the file and the row: no manifest, a file that is not there or lies outside
    the folder, an unknown prompt, a picture twice, no picture at all.
    """
    path = EXTERNAL / model / MANIFEST
    manifest = read_object(
        path,
        "put the pictures there with their manifest (data/external/README.md), "
        f"or run `laureate images --model {model}`",
    )
    texts = {prompt.id: prompt.text for prompt in asked}
    keys = {"file": str, "prompt": str, "seed": int, "source": str}
    drawn: list[Row] = []
    for where, row in checked_rows(path, manifest["pictures"], keys, {"source": manifest.get("source")}):
        if row["prompt"] not in texts:
            raise LaureateError(f"{where}: there is no prompt {row['prompt']!r} in sample.prompts; remove it")
        drawn.append({**row, "text": texts[row["prompt"]]})
    if not drawn:
        raise LaureateError(f"{path} lists no picture, so {model} cannot be scored")
    return Pictures(drawn, [row for row in manifest.get("missing", []) if isinstance(row, dict)])
