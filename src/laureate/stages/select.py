"""Stage select: the scores of one row of the table, as the metrics that DVC shows of an experiment."""

from __future__ import annotations

from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import COMPARISON, SELECTED

KEYS = ("fid", "kid", "lpips", "clip", "is")


def run(params: Params) -> None:
    """metrics/comparison.csv => metrics/selected.json: `model` and KEYS of the row of `params.selected`.

    Raises LaureateError where the table is missing or has no such row.
    """
    rows = {str(row["model"]): row for row in results_table.read_csv(COMPARISON)}
    if params.selected not in rows:
        raise LaureateError(f"{COMPARISON} has no row {params.selected}; run `laureate compare` again")
    write_json(SELECTED, short(rows[params.selected]))


def short(row: results_table.Row) -> results_table.Row:
    """A row's name and KEYS, each with as many decimals as the table shows: two digits of the width of its
    95 % interval. A score that the row has no value for is left out."""
    found: results_table.Row = {"model": row["model"]}
    for key in KEYS:
        if row[key] is not None:
            found[key] = round(results_table.number(row, key), results_table.decimals(row, key))
    return found
