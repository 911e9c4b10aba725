"""Run the rank adviser on a study: the recommended rank, its sentences and its statistics, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laureate.comparison import choices, drift_guard, rank_selection
from laureate.comparison.way_to_ceiling import Share, share_of_way
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog, scoring

if TYPE_CHECKING:
    from laureate.comparison.drift_guard import Leak
    from laureate.comparison.judge_agreement import Correlation
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.config.params import Params
    from laureate.evaluation.scores import Estimate

# scores that a rank may worsen against the base
PRICES = ("content", "clip_content", "plain_content", "copies")


def advise(
    params: Params,
    models: Mapping[str, ScoredModel],
    ceiling: ScoredModel | None = None,
    chosen: choices.Choices | None = None,
) -> dict[str, Any]:
    """Recommend one of the adapters of a study => JSON: rank, sentences, findings, prices.

    `ceiling`: the model vae-ceiling; `chosen`: as `choices.read` gives it. Raises LaureateError where an
    adapter has pictures of other prompts or seeds than the baseline, or where a judge of the panel has no
    score.
    """
    base, criterion = models["baseline"], params.compare.criterion
    ranks = {rank: models[f"rank-{rank}"] for rank in params.ranks}
    for rank, model in ranks.items():
        if list(model.evidence.pictures) != list(base.evidence.pictures):
            raise LaureateError(
                f"rank-{rank} and the baseline have pictures of different prompts or seeds; "
                f"run `laureate sample --model rank-{rank}` and evaluate it again"
            )
    keys = panel_keys(params)
    for key in keys.values():
        if key not in base.scores:
            raise LaureateError(
                f"compare.criterion is {criterion!r}, but no judge of evaluate.roles and compare.judges "
                f"computes {key}; run `laureate evaluate` again, or change them"
            )
    prices = {
        name: ({rank: model.scores[name] for rank, model in ranks.items()}, base.scores[name])
        for name in PRICES
        if name in base.scores and name not in keys.values()
    }
    advice = rank_selection.advise_panel(
        {
            name: ({rank: model.scores[key] for rank, model in ranks.items()}, base.scores[key])
            for name, key in keys.items()
        },
        ranks[params.ranks[0]].resamples,  # with the trainings, which the base does not have
        prices,
        lower_is_better=_score(next(iter(keys.values()))).direction == "lower",
        margin=params.compare.margin,
    )
    ways = {} if ceiling is None else {
        name: ways_to_ceiling(key, ranks, base, ceiling) for name, key in keys.items()
    }  # fmt: skip
    leaks = drift_guard.leaks_of(ranks, base)
    return as_json(advice, criterion, params.compare.margin, keys, ways, leaks, chosen or {})


def panel_keys(params: Params) -> dict[str, str]:
    """Judge => the column of the table that the recommendation reads of it, the leading judge first.

    A criterion that only one judge computes has a panel of one.
    """
    criterion, roles, judges = params.compare.criterion, params.evaluate.roles, params.evaluate.judges
    if criterion in ("cmmd", "dino", "lpips"):
        return {getattr(roles, criterion) or criterion: criterion}
    if criterion == "style":
        keys = {
            name: "style_imagenet"
            for name in params.panel
            if judges[name].kind == "imagenet" and name != roles.style
        }
        return keys | {roles.style or "style": "style"}
    named = {name: f"{criterion}_{judges[name].kind}" for name in params.compare.judges}
    if roles.looks in named:
        named[roles.looks] = criterion
    return {name: {"kid_dino": "dino"}.get(key, key) for name, key in named.items()}


def ways_to_ceiling(
    key: str, ranks: Mapping[int, ScoredModel], base: ScoredModel, ceiling: ScoredModel
) -> dict[int, Share]:
    """Rank => the share of the way from the base to the VAE ceiling by one score; empty without a way."""
    if key not in ceiling.scores:
        return {}
    of = {name: (model.scores[key](), model.resamples.draws(model.scores[key]))
          for name, model in (("base", base), ("ceiling", ceiling))}  # fmt: skip
    found = {}
    for rank, model in ranks.items():
        one = (model.scores[key](), model.resamples.draws(model.scores[key]))
        share = share_of_way(one, of["base"], of["ceiling"])
        if share is not None:
            found[rank] = share
    return found


def as_json(
    advice: rank_selection.Advice,
    criterion: str,
    margin: float,
    keys: Mapping[str, str] | None = None,
    ways: Mapping[str, Mapping[int, Share]] | None = None,
    leaks: Sequence[Leak] = (),
    chosen: choices.Choices | None = None,
) -> dict[str, Any]:
    """Advice as JSON values; numbers have six digits.

    `keys`: judge => column of the table, where it is not the criterion; `ways`: judge => rank => share;
    `leaks`: of every rank, as `drift_guard` gives them; `chosen`: as `choices.read` gives it.
    """
    agreement = advice.agreement
    further = [
        *choices.sentences(chosen or {}, advice.rank),
        *meaning_of_tied(advice, margin),
        *ceiling_sentences(advice, ways or {}),
        *price_sentences(advice),
        *drift_guard.sentences(leaks, advice.rank),
        *luck_sentences(advice),
    ]
    return {
        "criterion": criterion,
        "margin": margin,
        "rank": advice.rank,
        "best": advice.best,
        "lead": advice.lead,
        "enough": advice.enough,
        "unanimous": advice.unanimous,
        "prompts": advice.prompts,
        "pictures": advice.pictures,
        "prompts_wanted": advice.prompts_wanted,
        "pictures_wanted": advice.pictures_wanted,
        "portraits_wanted": None if advice.wanted is None else advice.wanted.portraits,
        "trainings": advice.trainings,
        "trainings_wanted": None if advice.wanted is None else advice.wanted.trainings,
        "sentences": [*advice.sentences, *further],
        "answer": advice.answer,
        "open_questions": advice.open_questions,
        "details": further,
        "choices": {str(rank): dict(one) for rank, one in (chosen or {}).items()},
        "findings": [_finding(finding) for finding in advice.findings],
        "judges": {
            name: {
                "score": (keys or {}).get(name, criterion),
                "best": view.best,
                "sees": view.sees,
                "findings": [_finding(finding) for finding in view.findings],
                "way_to_ceiling": {
                    str(rank): {k: _number(getattr(share, k)) for k in ("value", "low", "high")}
                    for rank, share in (ways or {}).get(name, {}).items()
                },
            }
            for name, view in advice.views.items()
        },
        "agreement": {
            "outcome": agreement.outcome,
            "sentence": agreement.sentence,
            "dissenter": agreement.dissenter,
            "mean": _correlation(agreement.mean),
            "pairs": [
                {"judges": list(pair)} | (_correlation(one) or {}) for pair, one in agreement.pairs.items()
            ],
        },
        "leaks": {
            str(leak.rank): {
                "leaks": leak.leaks,
                "share": _estimate(leak.share),
                "difference": _estimate(leak.difference),
            }
            for leak in leaks
        },
        "prices": {
            name: {"to_base": _estimate(to_base), "to_best": _estimate(to_best)}
            for name, (to_base, to_best) in advice.prices.items()
        },
    }


def ceiling_sentences(advice: rank_selection.Advice, ways: Mapping[str, Mapping[int, Share]]) -> list[str]:
    """One sentence: how far the recommended rank has come to what the base's VAE allows, by each judge."""
    parts = []
    for name, shares in ways.items():
        share = shares.get(advice.rank or 0)
        if share is not None:
            numbers = (100 * number for number in (share.value, share.low, share.high))
            value, low, high = (f"{number:.0f}".replace("-", "−") for number in numbers)
            parts.append(f"{value} % ({low} to {high}) by {name}")
    if not parts:
        return []
    return [
        "Of the way from the untuned base to training portraits that the base's VAE has encoded and decoded, "
        f"which no adapter can pass, it has gone {', '.join(parts)}."
    ]


def meaning_of_tied(advice: rank_selection.Advice, margin: float) -> list[str]:
    """One sentence that says what "tied" means, where the recommended rank is not the best; else none."""
    if advice.rank in (None, advice.best) or not advice.unanimous:
        return []
    return [
        f"Tied means that these pictures show it to lie within {100 * margin:.3g} % of the way from the "
        "untuned base to the best, even where a test finds a difference."
    ]


def price_sentences(advice: rank_selection.Advice) -> list[str]:
    """One sentence on what the recommended rank costs against the base; none without a recommended rank."""
    parts = []
    for name, (to_base, _) in advice.prices.items():
        score = _score(name)
        factor, unit = (100, " points") if score.percent else (1, "")
        value, low, high = (
            f"{factor * number:+.1f}".replace("-", "−")
            for number in (to_base.value, to_base.low, to_base.high)
        )
        significant = ", more than chance" if to_base.p <= rank_selection.LEVEL else ""
        parts.append(f"{score.label} {value}{unit} ({low} to {high}{significant})")
    return [f"Its price, against the untuned base: {'; '.join(parts)}."] if parts else []


def luck_sentences(advice: rank_selection.Advice) -> list[str]:
    """One sentence on what the interval of the recommended rank is made of, or that it knows one training."""
    if advice.rank is None:
        return []
    if advice.trainings < 2:
        return [
            "Every rank was trained once: what another seed of training would change is not in these "
            "intervals (train.seeds)."
        ]
    parts = advice.parts
    if parts is None or not parts.error > 0:
        return []
    shares = (
        ("the trainings", parts.from_trainings),
        ("the prompts", parts.from_prompts),
        ("the held-out portraits", parts.from_references),
    )
    said = ", ".join(f"{100 * variance / parts.error**2:.0f} % from {name}" for name, variance in shares)
    return [
        f"Over {advice.trainings} trainings of each rank; of the variance of rank {advice.rank}'s score, "
        f"{said}."
    ]


def _score(key: str) -> score_catalog.ScoreColumn:
    return next(score for score in score_catalog.SCORES if score.key == key)


def _finding(finding: rank_selection.Finding) -> dict[str, Any]:
    return {
        "rank": finding.rank,
        "verdict": finding.verdict,
        "value": _number(finding.value),
        "difference": _estimate(finding.difference),
        "p_worse": _number(finding.p_worse),
        "p_tied": _number(finding.p_tied),
        "prompts_wanted": finding.prompts_wanted,
    }


def _correlation(found: Correlation | None) -> dict[str, float | None] | None:
    return None if found is None else {key: _number(getattr(found, key)) for key in ("tau", "low", "high")}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {key: _number(getattr(estimate, key)) for key in ("value", "low", "high", "p")}


def _number(value: float) -> float | None:
    """Six digits; JSON has no NaN."""
    return scoring.rounded(float(value)) if value == value else None
