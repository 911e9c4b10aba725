"""Run the rank adviser on a study: the recommended rank, its sentences and its statistics, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from laureate.comparison import rank_selection
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog, scoring

if TYPE_CHECKING:
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.config.params import Params
    from laureate.evaluation.scores import Estimate

PRICES = ("content", "clip_content", "memorisation")  # scores that a rank may worsen against the base


def advise(params: Params, models: Mapping[str, ScoredModel]) -> dict[str, Any]:
    """Recommend one of the adapters of a study => JSON: rank, sentences, findings, prices.

    Raises LaureateError where an adapter has pictures of other prompts or seeds than the baseline.
    """
    base, key = models["baseline"], params.compare.criterion
    ranks = {rank: models[f"rank-{rank}"] for rank in params.ranks}
    for rank, model in ranks.items():
        if list(model.evidence.pictures) != list(base.evidence.pictures):
            raise LaureateError(
                f"rank-{rank} and the baseline have pictures of different prompts or seeds; "
                f"run `laureate sample --model rank-{rank}` and evaluate it again"
            )
    score = next(score for score in score_catalog.SCORES if score.key == key)
    if key not in base.scores:
        raise LaureateError(f"compare.criterion is {key!r}, which no judge of evaluate.roles computes")
    prices = {
        name: ({rank: model.scores[name] for rank, model in ranks.items()}, base.scores[name])
        for name in PRICES
        if name in base.scores and name != key
    }
    advice = rank_selection.advise(
        {rank: model.scores[key] for rank, model in ranks.items()},
        base.scores[key],
        base.resamples,
        prices,
        lower_is_better=score.direction == "lower",
        margin=params.compare.margin,
    )
    return as_json(advice, key, params.compare.margin)


def as_json(advice: rank_selection.Advice, criterion: str, margin: float) -> dict[str, Any]:
    """Advice as JSON values; numbers have six digits."""
    return {
        "criterion": criterion,
        "margin": margin,
        "rank": advice.rank,
        "best": advice.best,
        "enough": advice.enough,
        "prompts": advice.prompts,
        "pictures": advice.pictures,
        "prompts_wanted": advice.prompts_wanted,
        "pictures_wanted": advice.pictures_wanted,
        "sentences": [*advice.sentences, *meaning_of_tied(advice, margin), *price_sentences(advice)],
        "findings": [
            {
                "rank": finding.rank,
                "verdict": finding.verdict,
                "value": _number(finding.value),
                "difference": _estimate(finding.difference),
                "p_worse": _number(finding.p_worse),
                "p_tied": _number(finding.p_tied),
                "prompts_wanted": finding.prompts_wanted,
            }
            for finding in advice.findings
        ],
        "prices": {
            name: {"to_base": _estimate(to_base), "to_best": _estimate(to_best)}
            for name, (to_base, to_best) in advice.prices.items()
        },
    }


def meaning_of_tied(advice: rank_selection.Advice, margin: float) -> list[str]:
    """One sentence that says what "tied" means, where the recommended rank is not the best; else none."""
    if advice.rank in (None, advice.best):
        return []
    return [
        f"Tied means that these pictures show it to lie within {100 * margin:.3g} % of the way from the "
        "untuned base to the best, even where a test finds a difference."
    ]


def price_sentences(advice: rank_selection.Advice) -> list[str]:
    """One sentence on what the recommended rank costs against the base; none without a recommended rank."""
    parts = []
    for name, (to_base, _) in advice.prices.items():
        score = next(score for score in score_catalog.SCORES if score.key == name)
        factor, unit = (100, " points") if score.percent else (1, "")
        value, low, high = (
            f"{factor * number:+.1f}".replace("-", "−")
            for number in (to_base.value, to_base.low, to_base.high)
        )
        significant = ", more than chance" if to_base.p <= rank_selection.LEVEL else ""
        parts.append(f"{score.label} {value}{unit} ({low} to {high}{significant})")
    return [f"Its price, against the untuned base: {'; '.join(parts)}."] if parts else []


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {key: _number(getattr(estimate, key)) for key in ("value", "low", "high", "p")}


def _number(value: float) -> float | None:
    """Six digits; JSON has no NaN."""
    return scoring.rounded(float(value)) if value == value else None
