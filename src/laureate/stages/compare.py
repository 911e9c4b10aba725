"""Stage compare: all models' scores in one table, paired tests between them, and the recommended rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laureate.comparison import choices, published_results, results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json, write_text
from laureate.core.paths import ADVICE, COMPARISON, EVIDENCE
from laureate.core.progress import progress
from laureate.evaluation import score_catalog

METRICS = Path("metrics")


def run(params: Params) -> None:
    """metrics/models/NAME.json and data/evidence/NAME.safetensors of the models in `params`, metrics/choices.

    => comparison.csv and comparison.md, differences.csv, adviser.json and judges.json in metrics/.
    Raises LaureateError naming a file that is missing, or models scored by different judges.
    """
    reported = published_results.load(params.compare.published)
    table = results_table.read_metrics(METRICS / "models", params.models)
    chosen = choices.read(params)
    from laureate.comparison import paired_tests, rank_recommendation
    from laureate.evaluation import evidence  # late: a missing file has stopped us by now

    evidences = {name: evidence.load(EVIDENCE / f"{name}.safetensors", name) for name in params.models}
    judges = same_judges({name: one.judges for name, one in evidences.items()})
    references = int(table["n_reference"].iloc[0])
    models = {
        name: paired_tests.ScoredModel(one, references, params.evaluate)
        for name, one in evidences.items()
        if name not in results_table.REFERENCES
    }
    ceiling = paired_tests.ScoredModel(evidences[results_table.CEILING], references, params.evaluate)
    advice = rank_recommendation.advise(params, models, ceiling, chosen)
    tests = []
    for score in progress(score_catalog.SCORES, len(score_catalog.SCORES), "compare"):
        tests += paired_tests.compare(score, table, models)
    differences = paired_tests.differences_table(tests)
    table = results_table.with_marks(table, paired_tests.marks(differences))
    write_text(COMPARISON, results_table.to_csv(table))
    write_text(METRICS / "differences.csv", paired_tests.to_csv(differences))
    sentences = "\n".join(advice["sentences"]) + "\n"
    text = [results_table.to_markdown(table), sentences, published_results.to_markdown(reported, table)]
    write_text(METRICS / "comparison.md", "\n".join(text))
    write_json(METRICS / "judges.json", judges)
    write_json(ADVICE, advice)


def same_judges(judges: dict[str, Any]) -> dict[str, Any]:
    """The judges that scored all models. Raises LaureateError naming a model scored by others."""
    names = list(judges)
    for name in names[1:]:
        if judges[name] != judges[names[0]]:
            raise LaureateError(
                f"{name} was scored by other judges than {names[0]}; "
                f"run `laureate evaluate --model {name}` and `laureate evaluate --model {names[0]}` again"
            )
    return dict(judges[names[0]])
