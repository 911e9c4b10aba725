"""The page of `laureate score`: a table in, one HTML text out that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.comparison import folder_advice, folder_table
from laureate.comparison.folder_scores import CATALOG, FLOOR, KEYS
from laureate.reporting.templating import environment

if TYPE_CHECKING:
    from laureate.comparison.folder_table import Table


def render(table: Table, advice: Sequence[str], notes: Sequence[str], judges: Mapping[str, str]) -> str:
    """The page as HTML text; `judges`: name => its pre-processing. The same table gives the same text."""
    return (
        environment()
        .get_template("score.html.j2")
        .render(
            version=__version__,
            advice=advice,
            notes=notes,
            sections=[section(table, judge, judges[judge]) for judge in table.judges],
            differences=[d for d in table.differences if d.score == folder_advice.LEADS],
            asks=[score for key, score in CATALOG.items() if any(row[key] is not None for row in table.rows)],
        )
    )


def section(table: Table, judge: str, preprocessing: str) -> dict[str, Any]:
    """One judge's part: heads, rows of cells, and its KID as bars."""
    rows = table.of(judge)
    keys = [key for key in KEYS if any(row[key] is not None for row in rows)]
    lines = []
    for row in rows:
        model = str(row["model"])
        cells = [(*folder_table.shown(row, key), table.mark(judge, key, model)) for key in keys]
        lines.append({"model": model, "floor": model == FLOOR, "n": row["n"], "cells": cells})
    return {
        "judge": judge,
        "preprocessing": preprocessing,
        "n_reference": max(row["n_reference"] for row in rows),
        "heads": [CATALOG[key] for key in keys],
        "rows": lines,
        "bars": bars(rows),
    }


def bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """KID of every row as places on a line, in per cent of its length; 0 is on the line."""
    known = [row for row in rows if row["kid"] is not None and row["kid_low"] is not None]
    if not known:
        return []
    low, high = min(0.0, *(row["kid_low"] for row in known)), max(0.0, *(row["kid_high"] for row in known))
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / width, 2)

    return [
        {
            "model": row["model"],
            "floor": row["model"] == FLOOR,
            "zero": place(0.0),
            "at": place(row["kid"]),
            "low": place(row["kid_low"]),
            "wide": round(place(row["kid_high"]) - place(row["kid_low"]), 2),
            "text": folder_table.shown(row, "kid")[0],
        }
        for row in known
    ]
