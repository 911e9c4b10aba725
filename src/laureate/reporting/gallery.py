"""Pictures of every model from the same starting noises: what the page's slider and its blind vote show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from laureate.comparison import results_table
from laureate.reporting.nearest_portraits import Neighbour

REMINDERS = 4  # portraits that show a voter what the style is


@dataclass(frozen=True)
class Noise:
    """One starting noise: a prompt and a seed, and the picture that every model made of it."""

    prompt: str  # its id
    text: str
    seed: int
    pictures: Mapping[str, str]  # model => data URI
    # model => the nearest training portraits; empty where no judge measures the distance
    nearest: Mapping[str, Sequence[Neighbour]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gallery:
    """Noises with the pictures of all models, and the training portraits beside them."""

    study: str  # names the base and the adapters, see `study_name`
    models: Sequence[str]  # in the order of the slider
    noises: Sequence[Noise]
    portraits: Sequence[tuple[str, str]] = ()  # training portraits: name, data URI

    def as_data(self) -> dict[str, Any]:
        """What the page's scripts read, as JSON has it.

        models: [name, title]; noises: prompt, text, seed, pictures (a data URI per model), nearest (per model
        a list of [portrait, distance, suspect]); portraits: [name, data URI].
        """
        return {
            "study": self.study,
            "models": [[name, results_table.title(name)] for name in self.models],
            "noises": [
                {
                    "prompt": noise.prompt,
                    "text": noise.text,
                    "seed": noise.seed,
                    "pictures": [noise.pictures[name] for name in self.models],
                    "nearest": [_as_lists(noise.nearest.get(name, ())) for name in self.models],
                }
                for noise in self.noises
            ],
            "portraits": [list(portrait) for portrait in self.portraits],
            "reminders": spread(range(len(self.portraits)), REMINDERS),
        }


def _as_lists(near: Sequence[Neighbour]) -> list[list[float]]:
    return [[n.portrait, float(f"{n.distance:.4g}"), int(n.suspect)] for n in near]


def study_name(parts: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of what a study's pictures are made from: equal parts, equal name.

    A vote keeps it, so that votes on the pictures of two studies are not mixed.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()[:12]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spread over them and in their order."""
    step = max(1.0, len(items) / count) if count else 0.0
    return [items[int(i * step)] for i in range(min(count, len(items)))]
