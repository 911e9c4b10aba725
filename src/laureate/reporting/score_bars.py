"""Intervals as bars in the cells of the table of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from laureate.comparison import results_table

if TYPE_CHECKING:
    import pandas as pd

    from laureate.evaluation.score_catalog import ScoreColumn


@dataclass(frozen=True)
class Bar:
    """An interval and its value as places on a line, in per cent of its length."""

    low: float
    wide: float
    at: float
    beyond: Literal["", "left", "right"]  # the end of the line that the value itself lies outside of


def bars(table: pd.DataFrame, score: ScoreColumn) -> dict[str, Bar]:
    """Model => its bar; a model without a value has none.

    The line spans the intervals of the adapters, the noise floor and the VAE ceiling, so that small
    differences between adapters can be seen. The base and external models may lie outside of it.
    """
    import numpy as np

    keys = [score.key, f"{score.key}_low", f"{score.key}_high"]
    known = table[table[score.key].notna()]
    numbers = dict(zip(known.index, known[keys].to_numpy(float, na_value=np.nan), strict=True))
    spanning = [
        numbers[model]
        for model in known.index
        if model in results_table.REFERENCES or (results_table.rank_of(model) or 0) > 0
    ] or list(numbers.values())
    if not spanning:
        return {}
    low, high = float(np.nanmin(spanning)), float(np.nanmax(spanning))
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return round(min(100.0, max(0.0, 100 * (value - low) / width)), 1)

    found = {}
    for model, (value, *ends) in numbers.items():
        first, last = (value if end != end else end for end in ends)
        beyond: Literal["", "left", "right"] = "left" if value < low else "right" if value > high else ""
        found[model] = Bar(place(first), round(place(last) - place(first), 1), place(value), beyond)
    return found
