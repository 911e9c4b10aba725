"""Stage compare: every model's scores in one table, and which of the differences in it are differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laureate import published, table
from laureate.errors import LaureateError
from laureate.files import write_json, write_text
from laureate.params import Params
from laureate.places import EVIDENCE
from laureate.progress import progress

METRICS = Path("metrics")


def run(params: Params) -> None:
    """metrics/models/NAME.json and data/evidence/NAME.safetensors of the models in `params`.

    => comparison.csv and comparison.md, differences.csv, adviser.json, judges.json and selected.json in
    metrics/. Raises LaureateError naming a file that is missing, or models that different judges judged.
    """
    reported = published.load(params.compare.published)
    rows = table.read_metrics(METRICS / "models", params.models)
    from laureate import advice, differences, evidence  # late: a missing file has stopped us by now

    known = {name: evidence.load(EVIDENCE / f"{name}.safetensors", name) for name in params.models}
    judges = same_judges({name: found.judges for name, found in known.items()})
    count = int(rows[0]["n_reference"] or 0)
    models = {
        name: differences.Model(found, count, params.evaluate)
        for name, found in known.items()
        if name != table.FLOOR
    }
    advised = advice.advise(params, models)
    found = []
    for score in progress(table.SCORES, len(table.SCORES), "compare"):
        found += differences.compare(score, rows, models)
    rows = table.marked(rows, differences.marks(found))
    write_text(METRICS / "comparison.csv", table.to_csv(rows))
    write_text(METRICS / "differences.csv", differences.to_csv(found))
    said = "\n".join(advised["sentences"]) + "\n"
    text = [table.to_markdown(rows), said, published.to_markdown(reported, rows)]
    write_text(METRICS / "comparison.md", "\n".join(text))
    write_json(METRICS / "judges.json", judges)
    write_json(METRICS / "adviser.json", advised)
    write_json(METRICS / "selected.json", selected(rows, params.selected))


def same_judges(judges: dict[str, Any]) -> dict[str, Any]:
    """The judges that all models had. Raises LaureateError naming a model that had others."""
    names = list(judges)
    for name in names[1:]:
        if judges[name] != judges[names[0]]:
            raise LaureateError(
                f"{name} was judged by other judges than {names[0]}; "
                f"run `laureate evaluate --model {name}` and `laureate evaluate --model {names[0]}` again"
            )
    return dict(judges[names[0]])


def selected(rows: list[table.Row], model: str) -> table.Row:
    """The row of one model, without marks and empty places: DVC shows it as an experiment's metrics."""
    row = next(r for r in rows if r["model"] == model)
    return {key: value for key, value in row.items() if value is not None and key not in table.MARKS}
