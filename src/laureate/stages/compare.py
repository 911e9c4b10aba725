"""Stage compare: every model's scores in one table."""

from __future__ import annotations

from pathlib import Path

from laureate import published, table
from laureate.files import write_json, write_text
from laureate.params import Params

METRICS = Path("metrics")


def run(params: Params) -> None:
    """metrics/models/NAME.json of the models in `params` => comparison.csv, comparison.md, selected.json."""
    reported = published.load(params.compare.published)
    rows = table.read_metrics(METRICS / "models", params.models)
    write_text(METRICS / "comparison.csv", table.to_csv(rows))
    write_text(
        METRICS / "comparison.md", table.to_markdown(rows) + "\n" + published.to_markdown(reported, rows)
    )
    write_json(METRICS / "selected.json", selected(rows, params.selected))


def selected(rows: list[table.Row], model: str) -> table.Row:
    """The row of one model, without what it has no value for: DVC shows it as an experiment's metrics."""
    row = next(r for r in rows if r["model"] == model)
    return {key: value for key, value in row.items() if value is not None}
