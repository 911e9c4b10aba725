"""How well each score of the table orders the models as people do: Kendall's τ with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laureate.comparison.judge_agreement import kendall
from laureate.comparison.preferences import LEVEL
from laureate.evaluation.score_catalog import SCORES, ScoreColumn
from laureate.evaluation.scores.base import Doubles

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3  # models: two have but two orders


@dataclass(frozen=True)
class Correlation:
    """One score's τ with the people: 1 where it orders the models as they do, −1 the other way round."""

    score: ScoreColumn
    tau: float
    low: float  # of the 95 % interval
    high: float
    models: int  # that have this score and votes


def correlations(
    models: Sequence[str],
    strengths: Doubles,
    drawn: Doubles,
    table: pd.DataFrame,
    draws: Mapping[str, Mapping[str, Doubles]] | None = None,
) -> list[Correlation]:
    """Kendall's τ-b of every score of `table` with the people's order, the highest first.

    `strengths`: (m,) of `models`; `drawn`: (b, m) over resamples of votes; `draws`: model => score => its
    values over resamples of the study (r,). The interval is over resamples of the votes and, where `draws`
    are given for all models that have the score, of the study; else the score is taken for exact. A score
    that fewer than three of the models have is left out.
    """
    found = []
    for score in SCORES:
        rows = [at for at, name in enumerate(models) if name in table.index and _has(table, name, score.key)]
        if len(rows) < FEWEST:
            continue
        names = [models[at] for at in rows]
        sign = -1.0 if score.direction == "lower" else 1.0
        values = sign * table.loc[names, score.key].to_numpy(float)
        tau = float(kendall(strengths[None, rows], values[None])[0])
        over = np.broadcast_to(values, (len(drawn), len(rows)))
        if draws is not None and all(score.key in draws.get(name, {}) for name in names):
            columns = np.stack([sign * draws[name][score.key] for name in names], axis=1)
            over = columns[np.arange(len(drawn)) % len(columns)]
        low, high = np.percentile(
            kendall(drawn[:, rows], over), [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2]
        )
        found.append(Correlation(score, tau, float(min(low, tau)), float(max(high, tau)), len(rows)))
    return sorted(found, key=lambda correlation: -correlation.tau)


def _has(table: pd.DataFrame, model: str, key: str) -> bool:
    return bool(table[[key]].notna().loc[model, key])
