"""The answer at the top of the report page: the recommended rank, how sure it is, and all ranks' verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.core.paths import ADVICE
from laureate.evaluation import score_catalog


def answer(advice: Mapping[str, Any]) -> dict[str, Any]:
    """The rank adviser's result, as `laureate compare` writes it => what the template needs.

    headline, reason: its first sentence in two parts; sure: what the pictures show; not_settled: what more
    pictures could change (either may be empty); details: its other sentences; best, score: the best rank, and
    the column of the table that ranks are compared by; ranks: per rank its difference to the best with the
    interval as text, and the verdict. Raises LaureateError where `advice` is of another version.
    """
    try:
        score = next(score for score in score_catalog.SCORES if score.key == advice["criterion"])
        first, *others = advice["sentences"]
        headline, _, reason = first.partition(": ")
        open_questions = 0 if advice["enough"] else 1 if advice["rank"] is None else 2  # sentences of them
        return {
            "headline": headline,
            "reason": reason[:1].upper() + reason[1:],
            "sure": _sure(advice),
            "not_settled": " ".join(others[:open_questions]),
            "details": others[open_questions:],
            "best": advice["best"],
            "score": score,
            "ranks": [_rank(finding, advice, score) for finding in advice["findings"]],
        }
    except (KeyError, TypeError, ValueError, StopIteration):
        raise LaureateError(f"{ADVICE} is of another version; run `laureate compare` again") from None


def _sure(advice: Mapping[str, Any]) -> str:
    """What the tests of the rank adviser have shown of the recommended rank; empty without one."""
    rank = advice["rank"]
    if rank is None:
        return ""
    parts = ["Better than the untuned base"]
    if rank != advice["best"]:
        parts.append(f"tied with rank {advice['best']}")
    if advice["enough"]:
        smaller = any(finding["rank"] < rank for finding in advice["findings"])
        parts.append("every smaller rank is worse" if smaller else "no smaller rank was trained")
    return "; ".join(parts) + "."


def _rank(
    finding: Mapping[str, Any], advice: Mapping[str, Any], score: score_catalog.ScoreColumn
) -> dict[str, Any]:
    """One row of the table of verdicts; a difference is above 0 where the rank is worse than the best."""
    is_best = finding["verdict"] == "best"
    numbers = (finding["difference"][key] for key in ("value", "low", "high"))
    value, low, high = (float("nan") if number is None else number for number in numbers)
    difference, interval = results_table.format_interval(value, low, high)
    if score.percent:
        difference, interval = results_table.format_interval(100 * value, 100 * low, 100 * high)
    return {
        "rank": finding["rank"],
        "difference": "–" if is_best else difference if value < 0 else f"+{difference}",
        "interval": "" if is_best else interval,
        "verdict": finding["verdict"],
        "recommended": finding["rank"] == advice["rank"],
    }
