"""Coverage of the study's intervals, and correctness of its adviser, over resampled studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laureate.comparison import rank_selection
from laureate.embedded.oracle.resampled_studies import Pool, Study, resamples_of, scores_of
from laureate.evaluation import scoring
from laureate.evaluation.scores import Estimate

LEVEL = 0.95


@dataclass
class Coverage:
    """One score of one model over many studies."""

    true: float
    share: bool  # a score between 0 and 1
    values: list[float]
    covers: dict[str, list[bool]]  # kind of interval => whether it covers the true value, per study
    widths: list[float]

    def add(
        self,
        estimate: Estimate,
        percentile: tuple[float, float],
        undrawn: tuple[float, float],
        untrained: float = 1.0,
    ) -> None:
        """Record a study: the interval that it reports, and the percentile interval to compare with.

        `undrawn`: the shares of the pool's prompts and portraits that the study did not draw; `untrained`:
        of its trainings. A study that
        draws a tenth of a pool is nearer to the pool than to the population. So its error is enlarged by as
        much (the finite-population correction) before the intervals are checked. The true value that this
        supposes is cut to [0, 1] for a share.
        """
        from scipy.stats import t

        parts = np.array([estimate.from_prompts, estimate.from_references, estimate.from_trainings])
        left = parts @ [*undrawn, untrained]
        correction = np.sqrt(left / parts.sum()) if parts.sum() > 0 else 1.0
        half = t.ppf((1 + LEVEL) / 2, estimate.freedom) * estimate.error
        kinds = {
            "interval": (estimate.low, estimate.high),
            "plain": percentile,
            "jackknife": (estimate.value - half, estimate.value + half),
        }
        self.values.append(estimate.value)
        self.widths.append(estimate.high - estimate.low)
        target = estimate.value + (self.true - estimate.value) / correction
        if self.share:
            target = min(1.0, max(0.0, target))
        for kind, (low, high) in kinds.items():
            self.covers.setdefault(kind, []).append(bool(low <= target <= high))

    def summary(self) -> dict[str, float | int | None]:
        """Numbers for the table."""
        bias = float(np.mean(self.values) - self.true)
        return {
            "true": self.true,
            "bias": bias,
            "spread": float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None,
            "width": float(np.mean(self.widths)),
            "studies": len(self.values),
        } | {f"cover_{kind}": float(np.mean(covers)) for kind, covers in self.covers.items()}


def coverage(
    pool: Pool,
    drawn: Iterable[Study],
    true_values: Mapping[str, Mapping[str, float]],
    draws: int,
    keys: Sequence[str],
) -> dict[str, dict[str, Coverage]]:
    """Interval coverage of every score of every model => key => model => `Coverage`.

    The intervals are the study's own, from `scoring.estimate` with `draws` resamples.
    """
    by_key = {
        key: {
            model: Coverage(true_values[model][key], key in scoring.SHARES, [], {}, [])
            for model in pool.models
        }
        for key in keys
    }
    for number, study in enumerate(drawn):
        undrawn = 1 - len(study.prompts) / pool.prompts, 1 - len(study.portraits) / pool.portraits.count
        untrained = 1 - len(set(study.trainings)) / max(1, len(set(pool.trainings)))
        for model in pool.models:
            resamples = resamples_of(study, draws, number, model)
            for key, score in scores_of(pool, model, study, keys).items():
                estimate, values = scoring.estimate(key, score, resamples)
                bootstrap = values[1 : 1 + draws]  # after the value of all pictures: see `scoring.designs`
                tail = (1 - LEVEL) / 2
                low, high = np.quantile(bootstrap - bootstrap.mean() + estimate.value, [tail, 1 - tail])
                by_key[key][model].add(estimate, (float(low), float(high)), undrawn, untrained)
    return by_key


@dataclass(frozen=True)
class Recommendation:
    """What the adviser recommends in one study."""

    rank: int | None
    right: bool  # the truly best rank, or one that truly lies within the margin of it
    enough: bool
    best: int


def tied(true_values: Mapping[str, Mapping[str, float]], key: str, margin: float) -> tuple[int, set[int]]:
    """The truly best rank by a score where lower is better, and all ranks truly within the margin of it."""
    base = true_values["baseline"][key]
    ranks = {
        int(model.removeprefix("rank-")): values[key]
        for model, values in true_values.items()
        if model != "baseline"
    }
    best = min(ranks, key=ranks.__getitem__)
    limit = ranks[best] + margin * (base - ranks[best])
    return best, {rank for rank, value in ranks.items() if value <= limit}


def recommendations(
    pool: Pool,
    drawn: Iterable[Study],
    true_values: Mapping[str, Mapping[str, float]],
    key: str,
    margin: float = rank_selection.MARGIN,
) -> list[Recommendation]:
    """The adviser's recommendation in every study, by one score."""
    _, right = tied(true_values, key, margin)
    recommended = []
    for study in drawn:
        resamples = resamples_of(study, 2, 0)  # tests need no draws
        by_model = {model: scores_of(pool, model, study, [key])[key] for model in pool.models}
        base = by_model.pop("baseline")
        ranks = {int(model.removeprefix("rank-")): score for model, score in by_model.items()}
        advice = rank_selection.advise(ranks, base, resamples, margin=margin)
        recommended.append(Recommendation(advice.rank, advice.rank in right, advice.enough, advice.best))
    return recommended


PANEL = "all judges"  # the recommendation that holds for the whole panel
ATTRIBUTES = "style and content"  # as they are read in all pictures of the pool


def panel_recommendations(
    pool: Pool,
    drawn: Iterable[Study],
    true_values: Mapping[str, Mapping[str, float]],
    keys: Mapping[str, str],
    margin: float = rank_selection.MARGIN,
) -> dict[str, list[Recommendation]]:
    """The recommendation of every judge alone, and of all together, in every study.

    `keys`: judge => its score, where lower is better. Right: truly within the margin of the best for that
    judge; for `PANEL`, for every judge.
    """
    right = {name: tied(true_values, key, margin)[1] for name, key in keys.items()}
    right[PANEL] = set.intersection(*right.values())
    found: dict[str, list[Recommendation]] = {name: [] for name in (*keys, PANEL)}
    for study in drawn:
        resamples = resamples_of(study, 2, 0)  # tests need no draws
        by_model = {model: scores_of(pool, model, study, list(keys.values())) for model in pool.models}
        base = by_model.pop("baseline")
        panel = {
            name: (
                {int(model.removeprefix("rank-")): of[key] for model, of in by_model.items()},
                base[key],
            )
            for name, key in keys.items()
        }
        for name in found:
            asked = panel if name == PANEL else {name: panel[name]}
            advice = rank_selection.advise_panel(asked, resamples, margin=margin)
            one = Recommendation(advice.rank, advice.rank in right[name], advice.enough, advice.best)
            found[name].append(one)
    return found


def by_truth(
    recommended: Sequence[Recommendation],
    true_values: Mapping[str, Mapping[str, float]],
    keys: Mapping[str, str],
    margin: float = rank_selection.MARGIN,
) -> dict[str, Any]:
    """How often a recommended rank is right by each judge's truth, by what is known of the pictures, and by
    all judges; its true style and content.

    right_by: judge (and `PANEL`, `ATTRIBUTES`) => share of studies; style_read, content: means of the true
    values of the recommended ranks, None where none was recommended.
    """
    right = {name: tied(true_values, key, margin)[1] for name, key in keys.items()}
    right[PANEL] = set.intersection(*right.values())
    right[ATTRIBUTES] = tied_in_attributes(true_values, margin)
    ranks = [one.rank for one in recommended]
    named = [f"rank-{rank}" for rank in ranks if rank is not None]
    return {
        "right_by": {name: float(np.mean([rank in of for rank in ranks])) for name, of in right.items()},
    } | {
        key: float(np.mean([true_values[name][key] for name in named])) if named else None
        for key in ("style_read", "content")
    }


def tied_in_attributes(true_values: Mapping[str, Mapping[str, float]], margin: float) -> set[int]:
    """The ranks whose true style lies within the margin of the best, of the way from the base to it, and
    whose true content within the margin of the best content."""
    style = {model: values["style_read"] for model, values in true_values.items()}
    content = {model: values["content"] for model, values in true_values.items() if model != "baseline"}
    best = max(value for model, value in style.items() if model != "baseline")
    limit = best - margin * (best - style["baseline"])
    return {
        int(model.removeprefix("rank-"))
        for model, value in content.items()
        if style[model] >= limit and value >= (1 - margin) * max(content.values())
    }
