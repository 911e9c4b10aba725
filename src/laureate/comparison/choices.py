"""What the adviser says of each rank's learning rate, step and strength: metrics/choices/rank-N.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import CHOICES
from laureate.core.text_files import read_text

Choices = Mapping[int, Mapping[str, Any]]  # rank => what `choose` wrote
KEYS = (
    "learning_rate", "step", "strength", "naive", "candidates", "last_step", "gain", "more_training",
    "failed",
)  # fmt: skip


def read(params: Params, folder: Path = CHOICES) -> dict[int, dict[str, Any]]:
    """The choices of all ranks. A file may be missing where `params` gives one candidate.

    Raises LaureateError naming a file that is missing or damaged.
    """
    several = bool(params.train.learning_rates or params.train.snapshots or params.choose.strengths)
    paths = {rank: folder / f"rank-{rank}.json" for rank in params.ranks}
    return {rank: _read(path, rank) for rank, path in paths.items() if several or path.is_file()}


def _read(path: Path, rank: int) -> dict[str, Any]:
    again = f"run `laureate choose --rank {rank}`"
    try:
        found = dict(json.loads(read_text(path, f"{again} first")))
        return {key: found[key] for key in KEYS}
    except (ValueError, TypeError, KeyError):
        raise LaureateError(f"{path} is damaged; {again} again") from None


def sentences(choices: Choices, rank: int | None) -> list[str]:
    """What was chosen for the recommended rank and what that gains, what more steps would do, and which
    trainings of any rank have failed."""
    lines = []
    one = None if rank is None else choices.get(rank)
    if rank is not None and one is not None and one["candidates"] > 1:
        lines += [chosen(one, rank), *_steps(one)]
    return lines + failures(choices)


def chosen(one: Mapping[str, Any], rank: int) -> str:
    """Rate, step and strength of a rank, and their gain over the naive choice."""
    naive = one["naive"]
    said = f"Rank {rank} is drawn with {_words(one)}"
    gain = one["gain"]
    if all(one[key] == naive[key] for key in naive):
        if gain is None:
            return f"{said}."
        return (
            f"{said}: no other learning rate, step or strength is shown to be better. The best of them by "
            f"half of the prompts and portraits gains {_points(gain)} on the other half."
        )
    if gain is None:
        return f"{said}; what that gains over {_words(naive)} is not known, as a training with these failed."
    return (
        f"{said}. Against {_words(naive)}, choosing so gains {_points(gain)} of the way from the untuned "
        "base to the portraits, mean over the panel, measured on prompts and portraits that it was not "
        "chosen on."
    )


def failures(choices: Choices) -> list[str]:
    """One sentence for every training that failed."""
    return [
        f"Rank {rank}: training seed {one['seed']} failed with learning rate {one['learning_rate']:g} "
        f"({one['reason']})."
        for rank, choice in choices.items()
        for one in choice["failed"]
    ]


def _steps(one: Mapping[str, Any]) -> list[str]:
    """What the snapshots say of more training; nothing where they cannot tell."""
    if one["more_training"] == "hurts":
        return [f"More training hurts after step {one['step']}: step {one['last_step']} is worse."]
    if one["more_training"] == "helps":
        return ["More training may still help: the last step is better than the one kept before it."]
    return []


def _words(one: Mapping[str, Any]) -> str:
    return f"learning rate {one['learning_rate']:g}, step {one['step']} and strength {one['strength']:g}"


def _points(gain: Mapping[str, float | None]) -> str:
    """A gain in percent of the way, with its interval."""
    if gain["value"] is None or gain["low"] is None or gain["high"] is None:
        return "an amount that is not known"
    value, low, high = (f"{100 * gain[key]:.1f}".replace("-", "−") for key in ("value", "low", "high"))  # type: ignore[operator]
    return f"{value} % ({low} to {high})"
