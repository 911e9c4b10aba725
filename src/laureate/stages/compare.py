"""Stage compare: every model's scores in one table, and which of the differences in it are differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laureate.comparison import published_results, results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json, write_text
from laureate.core.paths import ADVICE, COMPARISON, EVIDENCE
from laureate.core.progress import progress
from laureate.evaluation import score_catalog

METRICS = Path("metrics")


def run(params: Params) -> None:
    """metrics/models/NAME.json and data/evidence/NAME.safetensors of the models in `params`.

    => comparison.csv and comparison.md, differences.csv, adviser.json and judges.json in metrics/.
    Raises LaureateError naming a file that is missing, or models that different judges judged.
    """
    reported = published_results.load(params.compare.published)
    rows = results_table.read_metrics(METRICS / "models", params.models)
    from laureate.comparison import paired_tests, rank_recommendation
    from laureate.evaluation import evidence  # late: a missing file has stopped us by now

    known = {name: evidence.load(EVIDENCE / f"{name}.safetensors", name) for name in params.models}
    judges = same_judges({name: found.judges for name, found in known.items()})
    count = int(rows[0]["n_reference"] or 0)
    models = {
        name: paired_tests.Model(found, count, params.evaluate)
        for name, found in known.items()
        if name != results_table.FLOOR
    }
    advised = rank_recommendation.advise(params, models)
    found = []
    for score in progress(score_catalog.SCORES, len(score_catalog.SCORES), "compare"):
        found += paired_tests.compare(score, rows, models)
    rows = results_table.marked(rows, paired_tests.marks(found))
    write_text(COMPARISON, results_table.to_csv(rows))
    write_text(METRICS / "differences.csv", paired_tests.to_csv(found))
    said = "\n".join(advised["sentences"]) + "\n"
    text = [results_table.to_markdown(rows), said, published_results.to_markdown(reported, rows)]
    write_text(METRICS / "comparison.md", "\n".join(text))
    write_json(METRICS / "judges.json", judges)
    write_json(ADVICE, advised)


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
