"""Stage select: the scores of one row of the table, as the metrics that DVC shows of an experiment."""

from __future__ import annotations

from collections.abc import Mapping

from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.files import write_json
from laureate.core.paths import COMPARISON, SELECTED

KEYS = ("fid", "kid", "lpips", "clip", "is")


def run(params: Params) -> None:
    """metrics/comparison.csv => metrics/selected.json: `model` and KEYS of the row of `params.selected`.

    Raises LaureateError where the table is missing or has no such row.
    """
    write_json(SELECTED, short(results_table.read_row(COMPARISON, params.selected)))


def short(row: Mapping[str, results_table.Value]) -> dict[str, results_table.Value]:
    """A row's name and KEYS, each with as many decimals as the table shows: two digits of the width of its
    95 % interval. A score that the row has no value for is left out."""
    found: dict[str, results_table.Value] = {"model": row["model"]}
    for key in KEYS:
        if key in row:
            value, low, high = (float(str(row[key + end])) for end in ("", "_low", "_high"))
            found[key] = round(value, results_table.decimals(value, low, high))
    return found
