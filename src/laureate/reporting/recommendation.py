"""The answer at the top of the report page: the recommended rank, how sure it is, and all ranks' verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.core.paths import ADVICE
from laureate.evaluation import score_catalog

VERDICTS = {  # whether the judges agree, by the outcome of judge_agreement
    "agree": "Judges agree",
    "disagree": "Judges disagree",
    "open": "Judges: open",
    "alone": "One judge can tell",
    "none": "No judge can tell",
}


def answer(advice: Mapping[str, Any]) -> dict[str, Any]:
    """The rank adviser's result, as `laureate compare` writes it => what the template needs.

    headline, reason: its first sentence in two parts; sure: what the pictures show; not_settled: what more
    pictures could change; judges: whether the judges agree (each of these may be empty), outcome and
    verdict: the same in a word; choices: see `choices`; details: its other sentences; lead: the judge whose
    differences are shown, where there are several; best, score: its best rank, and the column of the table
    that ranks are compared by; ranks: per rank its difference to the best with the interval as text, and the
    verdict of all judges; by_judge: see `by_judge`. Raises LaureateError where `advice` is of another
    version.
    """
    try:
        score = score_of(advice["judges"][advice["lead"]]["score"])
        headline, _, reason = advice["answer"].partition(": ")
        if not reason:
            raise ValueError("no answer")
        return {
            "headline": headline,
            "reason": reason[:1].upper() + reason[1:],
            "sure": _sure(advice),
            "not_settled": " ".join(advice["open_questions"]),
            "judges": advice["agreement"]["sentence"],
            "outcome": advice["agreement"]["outcome"],
            "verdict": VERDICTS[advice["agreement"]["outcome"]],
            "choices": choices(advice),
            "details": advice["details"],
            "lead": advice["lead"] if len(advice["judges"]) > 1 else "",
            "by_judge": by_judge(advice),
            "best": advice["best"],
            "score": score,
            "ranks": [_rank(finding, advice, score) for finding in advice["findings"]],
        }
    except (KeyError, TypeError, ValueError, StopIteration):
        raise LaureateError(f"{ADVICE} is of another version; run `laureate compare` again") from None


def score_of(key: str) -> score_catalog.ScoreColumn:
    """The column of a score. Raises StopIteration for an unknown one."""
    return next(score for score in score_catalog.SCORES if score.key == key)


def choices(advice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each judge says of the recommended rank (without one: of the best), the leading judge first.

    name; best: the judge's own best rank; sees: whether it can tell any rank from the base; verdict: on the
    rank that is put forward. Empty where there is one judge only.
    """
    if len(advice["judges"]) < 2:
        return []
    forward = advice["rank"] or advice["best"]
    names = sorted(advice["judges"], key=lambda name: name != advice["lead"])
    found = []
    for name in names:
        judge = advice["judges"][name]
        verdicts = {finding["rank"]: finding["verdict"] for finding in judge["findings"]}
        found.append(
            {"name": name, "best": judge["best"], "sees": judge["sees"], "rank": forward}
            | {"verdict": verdicts[forward]}
        )
    return found


def by_judge(advice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every judge with its score and a cell per rank, where there are several judges; else none.

    A cell has the value, the verdict, and the share of the way to the VAE ceiling with its interval, as text.
    """
    if len(advice["judges"]) < 2:
        return []
    names = sorted(advice["judges"], key=lambda name: name != advice["lead"])
    rows = []
    for name in names:
        judge = advice["judges"][name]
        cells = []
        for finding in judge["findings"]:
            way = judge["way_to_ceiling"].get(str(finding["rank"]))
            share = interval = ""
            if way is not None:
                share, interval = results_table.format_interval(way["value"], way["low"], way["high"], True)
            value, low, high = finding["value"], *_ends(finding)
            text = "–" if value is None else results_table.format_interval(value, low, high)[0]
            cells.append(
                {"value": text, "verdict": finding["verdict"], "way": share, "way_interval": interval}
            )
        score = score_of(judge["score"])
        rows.append(
            {"name": name, "score": score, "best": judge["best"], "sees": judge["sees"], "cells": cells}
        )
    return rows


def _ends(finding: Mapping[str, Any]) -> tuple[float, float]:
    """An interval as wide as that of a rank's difference to the best: how many digits its value has."""
    low, high = (finding["difference"][key] or 0.0 for key in ("low", "high"))
    return float(low), float(high)


def _sure(advice: Mapping[str, Any]) -> str:
    """What the tests of the rank adviser have shown of the recommended rank; empty without one."""
    rank = advice["rank"]
    if rank is None:
        return ""
    parts = ["Better than the untuned base"]
    several = sum(judge["sees"] for judge in advice["judges"].values()) > 1
    if several and advice["unanimous"]:
        parts.append("best or tied with the best for every judge that sees a difference")
    elif rank != advice["best"] and advice["unanimous"]:
        parts.append(f"tied with rank {advice['best']}")
    if advice["enough"]:
        smaller = any(finding["rank"] < rank for finding in advice["findings"])
        parts.append("every smaller rank is worse" if smaller else "no smaller rank was trained")
    return "; ".join(parts) + "."


def _rank(
    finding: Mapping[str, Any], advice: Mapping[str, Any], score: score_catalog.ScoreColumn
) -> dict[str, Any]:
    """One row of the table of verdicts; a difference is above 0 where the rank is worse than the best."""
    is_best = finding["rank"] == advice["best"]
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
