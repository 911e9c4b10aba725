"""Which models differ: paired differences of every score, with intervals and p-values that count all tests.

Two models were asked the same prompts from the same noise, so their scores are compared picture by picture:
what a prompt does to both of them cancels out, and far fewer pictures tell them apart than two separate
intervals would.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import table
from laureate.errors import LaureateError

if TYPE_CHECKING:
    from laureate.evidence import Evidence
    from laureate.scores import Score

Marks = Mapping[tuple[str, str], str]  # (score, model) => "best", or "tied" with the best
LEVEL = 0.05  # p-values up to this are called a difference


@dataclass(frozen=True)
class Difference:
    """One model's score less another's."""

    score: str
    model: str
    against: str  # the other model
    role: str  # what the other one is: "baseline" or "best"
    n: int  # pictures that both have
    value: float
    low: float  # of the 95 % interval
    high: float
    p: float  # of "there is no difference", for this pair alone
    p_holm: float  # the same, corrected for all models held against this one


COLUMNS = tuple(field.name for field in fields(Difference))


def marks(rows: Sequence[table.Row], differences: Sequence[Difference]) -> dict[tuple[str, str], str]:
    """(score, model) => "best" where the model with the best value differs from every other model, by the tests.

    Else it and all that do not differ from it are "tied". A score with one model, or without tests, has no mark.
    """
    found: dict[tuple[str, str], str] = {}
    for score in table.SCORES:
        against = [d for d in differences if d.score == score.key and d.role == "best"]
        if not against:
            continue
        tied = [d.model for d in against if d.p_holm > LEVEL]
        found[score.key, against[0].against] = "tied" if tied else "best"
        found |= {(score.key, model): "tied" for model in tied}
    return found


def compare(
    score: table.Score,
    rows: Sequence[table.Row],
    known: Mapping[str, Evidence],
    neighbours: int,
    bootstrap: tuple[int, int],
) -> list[Difference]:
    """Every model against the baseline, and against the model with the best value of one score.

    The noise floor does not compete: it is no model. `bootstrap`: draws and seed.
    """
    valued = [r for r in rows if r["model"] != "noise-floor" and isinstance(r[score.key], (int, float))]
    names = [str(r["model"]) for r in valued]
    if len(names) < 2:
        return []
    sign = 1 if score.direction == "lower" else -1
    best = str(min(valued, key=lambda r: sign * table.number(r, score.key))["model"])
    found = []
    for role, other in (("baseline", "baseline"), ("best", best)):
        if other not in names:
            continue
        pairs = [(name, _pair(score.key, known[name], known[other], neighbours, bootstrap)) for name in names if name != other]
        ...
    return found
