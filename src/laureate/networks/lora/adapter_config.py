"""Read and write config.json of an adapter: what it was trained on, and how. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import ADAPTER_CONFIG


def recipe(
    rank: int, train: Mapping[str, Any], *, base: str, dataset: str, encoded: str, code: str
) -> dict[str, Any]:
    """What the weights of one arm depend on, but for the machine and the versions of the libraries.

    `train`: the parameters of training, as they are for this arm: its `learning_rate`, its `seed`. `base`,
    `dataset` and `encoded` are the SHA-256 of the base model, the data set and the encoded data; `code` that
    of the training code.
    """
    return {
        "rank": rank,
        "train": dict(train),
        "base": base,
        "dataset": dataset,
        "encoded": encoded,
        "code": code,
    }


def write(folder: str | Path, recipe: Mapping[str, Any], *, precision: str, base_source: str) -> None:
    """Write `folder`/config.json: the recipe, the precision that was used, and where the base is from."""
    write_json(Path(folder) / ADAPTER_CONFIG, {**recipe, "precision": precision, "base_source": base_source})


def read(folder: str | Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises LaureateError naming the file if it is missing, is not a JSON object, or lacks a key.
    """
    path = Path(folder) / ADAPTER_CONFIG
    try:
        config = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise LaureateError(f"{path} is missing or damaged; run `laureate train` again") from None
    for key in ("rank", "train", "base", "dataset", "encoded", "precision", "base_source"):
        if key not in config:
            raise LaureateError(f"{path} has no {key!r}; run `laureate train` again")
    return config
