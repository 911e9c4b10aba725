"""What to take from a table of folders, in sentences, and whether a condition on it holds. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from laureate.comparison.folder_scores import FLOOR, KEYS
from laureate.comparison.folder_table import COLUMNS, Table, shown
from laureate.comparison.paired_tests import LEVEL
from laureate.core.errors import LaureateError

NUMBERS = COLUMNS[2:]  # without model and judge
LEADS = "kid"  # the score that the advice goes by
_CONDITION = re.compile(
    r"\s*(?:(?P<judge>[\w-]+)\.)?(?P<key>[a-z]+(?:_low|_high)?)\s*(?P<sign><=|>=|<|>)\s*(?P<number>[-+.\deE]+)\s*"
)


def advise(table: Table) -> list[str]:
    """Which model to take, by the KID of the leading judge; whether others agree; whether more is needed."""
    leading = table.judges[0]
    names = table.models
    by_judge = {judge: _nearest(table, judge, names) for judge in table.judges}
    first = by_judge[leading]
    if first is None:
        return []
    best, tied = first
    found = []
    if len(names) > 1:
        if len(tied) == len(names) - 1:
            found.append(
                f"These pictures do not tell the models apart: by the judge {leading}, {best} is nearest to "
                "the references, but no other is shown to be farther. More prompts or references may tell."
            )
        elif tied:
            found.append(
                f"Take {best}: by the judge {leading} it is nearest to the references; {_listed(tied)} "
                f"{'is' if len(tied) == 1 else 'are'} not told apart from it."
            )
        else:
            found.append(
                f"Take {best}: by the judge {leading} it is nearest to the references, not by chance."
            )
        for judge, other in by_judge.items():
            if judge == leading or other is None:
                continue
            if best in (other[0], *other[1]):
                tie = "" if best == other[0] else f", where {other[0]} is not told apart from it"
                found.append(f"The judge {judge} agrees{tie}.")
            else:
                found.append(
                    f"The judge {judge} disagrees: by it {other[0]} is nearer than {best}, not by chance."
                )
    floor = next((row for row in table.of(leading) if row["model"] == FLOOR), None)
    row = next(row for row in table.of(leading) if row["model"] == best)
    if floor and floor["kid_high"] is not None and row["kid_low"] is not None:
        (value, interval), (_, ends) = shown(row, LEADS), shown(floor, LEADS)
        what = "cannot be told" if row["kid_low"] <= floor["kid_high"] else "can be told"
        found.append(
            f"{best} {what} from the references: its KID is {value} ({interval}), that of one half of them "
            f"against the other {ends}."
        )
    return found


def _nearest(table: Table, judge: str, names: Sequence[str]) -> tuple[str, list[str]] | None:
    """The model with the least KID and those that are not told apart from it."""
    value = {r["model"]: r[LEADS] for r in table.of(judge) if r["model"] in names and r[LEADS] is not None}
    if not value:
        return None
    best = min(value, key=lambda name: value[name])
    marked = [d for d in table.differences if (d.judge, d.score, d.role) == (judge, LEADS, "best")]
    return best, [d.model for d in marked if d.p_holm > LEVEL]


def failures(table: Table, conditions: Sequence[str]) -> list[str]:
    """Where a condition such as "kid > 0.05" or "vision.fid_high >= 3" holds for a model, a sentence each.

    Without a judge, the leading one's value counts. Raises LaureateError for a condition that cannot be read.
    """
    found = []
    for text in conditions:
        match = _CONDITION.fullmatch(text)
        column = match["key"] if match else ""
        judge = (match["judge"] if match else None) or table.judges[0]
        try:
            limit = float(match["number"]) if match else float("nan")
        except ValueError:
            limit = float("nan")
        if not match or column not in NUMBERS or limit != limit:
            raise LaureateError(
                f"--fail-if {text!r} cannot be read: write SCORE > NUMBER or JUDGE.SCORE < NUMBER; SCORE "
                f"is one of {', '.join(KEYS)}, with _low or _high behind it for an end of the interval"
            )
        if judge not in table.judges:
            raise LaureateError(f"--fail-if {text!r}: the judges here are {', '.join(table.judges)}")
        values = {str(r["model"]): r[column] for r in table.of(judge) if r["model"] in table.models}
        if all(value is None for value in values.values()):
            raise LaureateError(f"--fail-if {text!r}: the judge {judge} gives no {column} here")
        for model, value in values.items():
            if value is not None and _holds(value, match["sign"], limit):
                found.append(f"{text.strip()} holds for {model}: {value:g}")
    return found


def check_conditions(conditions: Sequence[str], judges: Sequence[str]) -> None:
    """Refuse a condition that cannot be read before a picture is looked at; see `failures`."""
    empty = {"model": "any", **dict.fromkeys(NUMBERS, 0.0)}
    failures(Table(judges, ["any"], [empty | {"judge": judge} for judge in judges], ()), conditions)


def _holds(value: float, sign: str, limit: float) -> bool:
    return {"<": value < limit, ">": value > limit, "<=": value <= limit, ">=": value >= limit}[sign]


def _listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] => "a, b and c"."""
    return " and ".join(", ".join(names).rsplit(", ", 1))
