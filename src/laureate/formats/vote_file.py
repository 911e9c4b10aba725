"""Read the CSV files that the blind vote of the report page saves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text

COLUMNS = ("study", "rater", "prompt", "seed", "left", "right", "choice", "seconds")
Choice = Literal["left", "right", "tie"]
CHOICES: tuple[Choice, ...] = ("left", "right", "tie")
SAVED = "save it again from the report page, section Blind vote"


@dataclass(frozen=True)
class Vote:
    """One comparison by one person: two models' pictures of one prompt and seed."""

    study: str  # what the pictures were made from, as gallery.study_name has it
    rater: str
    prompt: str  # an id
    seed: int
    left: str  # a model
    right: str
    choice: Choice  # which picture is better
    seconds: float  # from the pictures' appearance to the choice


def read(path: str | Path) -> list[Vote]:
    """The votes of one file, at least one, in its order.

    Raises LaureateError naming file and line: no such file, no text, other columns, a value that is missing
    or none of its column's, no vote at all.
    """
    text = read_text(path, SAVED)
    try:
        header, *lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [
            []
        ]
    except csv.Error as error:
        raise LaureateError(f"{path} is no CSV ({error}); {SAVED}") from None
    if tuple(name.strip() for name in header) != COLUMNS:
        raise LaureateError(f"{path} has other columns than {', '.join(COLUMNS)}; {SAVED}")
    votes = [_vote(row, f"{path}, vote {number}") for number, row in enumerate(lines, start=1)]
    if not votes:
        raise LaureateError(f"{path} holds no vote; vote first, then {SAVED}")
    return votes


def read_all(paths: Sequence[str | Path]) -> list[Vote]:
    """The votes of all files. Raises LaureateError also for files of two studies and a vote given twice."""
    votes: list[Vote] = []
    seen: dict[Vote, str | Path] = {}
    for path in paths:
        found = read(path)
        for vote in found:
            if vote in seen and vote.seconds > 0:
                raise LaureateError(
                    f"{path} and {seen[vote]} hold the same vote by {vote.rater}; give each vote once"
                )
            if votes and vote.study != votes[0].study:
                raise LaureateError(
                    f"{path} has votes on the pictures of study {vote.study}, {paths[0]} on those of "
                    f"{votes[0].study}; give the files of one study at a time"
                )
            votes.append(vote)
        seen |= dict.fromkeys(found, path)
    return votes


def _vote(row: Sequence[str], where: str) -> Vote:
    if len(row) != len(COLUMNS):
        raise LaureateError(f"{where} has {len(row)} values instead of {len(COLUMNS)}; {SAVED}")
    values = dict(zip(COLUMNS, (value.strip() for value in row), strict=True))
    for name in ("study", "rater", "prompt", "left", "right"):
        if not values[name]:
            raise LaureateError(f"{where} lacks {name}; {SAVED}")
    choice = next((known for known in CHOICES if known == values["choice"]), None)
    if choice is None:
        raise LaureateError(f"{where}: choice is {values['choice']!r}, not one of {', '.join(CHOICES)}")
    if values["left"] == values["right"]:
        raise LaureateError(f"{where} compares {values['left']} with itself; {SAVED}")
    try:
        seed, seconds = int(values["seed"]), float(values["seconds"])
    except ValueError:
        raise LaureateError(f"{where}: seed and seconds must be numbers; {SAVED}") from None
    if not 0 <= seconds < float("inf"):
        raise LaureateError(f"{where}: seconds is {values['seconds']}, not a number from 0; {SAVED}")
    return Vote(
        values["study"],
        values["rater"],
        values["prompt"],
        seed,
        values["left"],
        values["right"],
        choice,
        seconds,
    )
