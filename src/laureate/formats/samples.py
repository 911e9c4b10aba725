"""manifest.json of a model's samples: which picture was drawn from which prompt and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from laureate.formats.prompts import Prompt

MANIFEST = "manifest.json"


def file_name(prompt: str, seed: int) -> str:
    """The file of the picture of (prompt id, seed)."""
    return f"{prompt}_{seed}.png"


def manifest(
    model: str,
    pairs: Sequence[tuple[Prompt, int]],
    *,
    base: str,
    base_source: str,
    adapter: str | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of manifest.json: one row per (prompt, seed), in order, and what they were drawn with.

    `base`: the base's fingerprint; `adapter`: SHA-256 of the adapter's weights, None for the base alone;
    `settings`: the parameters of sampling.
    """
    return {
        "model": model,
        "base": base,
        "base_source": base_source,
        "adapter": adapter,
        "settings": dict(settings),
        "pictures": [
            {"file": file_name(prompt.id, seed), "prompt": prompt.id, "text": prompt.text, "seed": seed}
            for prompt, seed in pairs
        ],
    }
