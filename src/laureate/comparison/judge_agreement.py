"""Whether the judges of a panel agree: Kendall's τ between their orders of the ranks, and their choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from laureate.evaluation.scores import Resamples, Score
from laureate.evaluation.scores.base import Doubles

LEVEL = 0.95
Outcome = Literal["agree", "disagree", "open", "alone", "none"]


@dataclass(frozen=True)
class Correlation:
    """Kendall's τ between two orders, or its mean over pairs of judges, with a 95 % interval."""

    tau: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How far the judges that see a difference order the ranks alike."""

    outcome: Outcome  # disagree: one finds the best rank of another worse than its own
    prefers: Mapping[str, int]  # judge => its best rank; of those that see
    blind: Sequence[str]  # judges that cannot tell even their best rank from the untuned base
    objections: Sequence[tuple[str, str]]  # (judge, other): finds the best rank of the other worse
    pairs: Mapping[tuple[str, str], Correlation]
    mean: Correlation | None  # over pairs; None where fewer than two judges see
    dissenter: str | None = None  # the one judge without which nobody would object

    @property
    def sentence(self) -> str:
        """The agreement in one sentence; empty where there is one judge and no other."""
        blind = ""
        if self.blind:
            has, it = ("has", "it") if len(self.blind) == 1 else ("have", "they")
            blind = (
                f"{joined(self.blind)} {has} no say, as {it} cannot tell even the best rank "
                "from the untuned base"
            )
        if self.outcome == "none":
            return "No judge can tell even its best rank from the untuned base." if self.blind else ""
        if self.mean is None:
            only = next(iter(self.prefers))
            return f"This is the word of {only} alone: {blind}." if blind else ""
        opening = {
            "agree": "The judges agree",
            "open": "Whether the judges agree is open",
            "disagree": "The judges disagree",
        }
        parts = [f"{opening[self.outcome]}: {self._preferences()}"]
        if self.outcome == "disagree":
            parts.append(self._objections())
        elif len(set(self.prefers.values())) > 1:
            parts.append("and none is shown to find the choice of another worse")
        several = f", mean of {len(self.pairs)} pairs" if len(self.pairs) > 1 else ""
        tau, *ends = (f"{v:+.2f}".replace("-", "−") for v in (self.mean.tau, self.mean.low, self.mean.high))
        text = (
            f"{', '.join(parts)} (Kendall's τ between their orders {tau}, 95 % {' to '.join(ends)}{several})"
        )
        return f"{text}; {blind}." if blind else f"{text}."

    def _preferences(self) -> str:
        """ "imagenet and clip prefer rank 32, vision prefers rank 4"."""
        by_rank: dict[int, list[str]] = {}
        for judge, rank in self.prefers.items():
            by_rank.setdefault(rank, []).append(judge)
        if len(by_rank) == 1:
            rank = next(iter(by_rank))
            return f"{'both' if len(self.prefers) == 2 else 'all'} prefer rank {rank}"
        return ", ".join(
            f"{joined(judges)} prefer{'s' if len(judges) == 1 else ''} rank {rank}"
            for rank, judges in by_rank.items()
        )

    def _objections(self) -> str:
        if self.dissenter is not None:
            against = [judge for judge, other in self.objections if other == self.dissenter]
            if against:
                finds = "finds" if len(against) == 1 else "find"
                return f"and {self.dissenter} dissents, whose choice {joined(against)} {finds} worse"
            return f"and {self.dissenter} dissents, which finds the others' choice worse"
        return "and " + "; ".join(
            f"{judge} finds the choice of {other} worse" for judge, other in self.objections
        )


def agreement(
    judges: Mapping[str, Mapping[int, Score]],
    blind: Sequence[str],
    objections: Iterable[tuple[str, str]],
    resamples: Resamples,
    *,
    lower_is_better: bool = True,
) -> Agreement:
    """The agreement of judges, each with one score of every rank over the same pictures.

    `blind`: judges of them that have no say; `objections`: (judge, other) where a test shows that the judge
    finds the best rank of the other worse than its own. τ and its interval are over the same resamples of
    prompts and references for all judges.
    """
    seeing = {name: ranks for name, ranks in judges.items() if name not in blind}
    sign = 1.0 if lower_is_better else -1.0
    values = {
        name: {rank: sign * score() for rank, score in sorted(ranks.items())}
        for name, ranks in seeing.items()
    }
    prefers = {name: min(of, key=of.__getitem__) for name, of in values.items()}
    objecting = list(objections)
    if len(seeing) < 2:
        outcome: Outcome = "alone" if seeing else "none"
        return Agreement(outcome, prefers, list(blind), objecting, {}, None)
    draws = {
        name: np.stack([resamples.draws(score) for _, score in sorted(ranks.items())], axis=1)
        for name, ranks in seeing.items()
    }
    points = {name: np.array([list(of.values())]) for name, of in values.items()}
    at, over = {}, {}
    for a, b in combinations(seeing, 2):
        at[a, b] = float(kendall(sign * points[a], sign * points[b])[0])
        over[a, b] = kendall(draws[a], draws[b])
    pairs = {pair: _correlation(at[pair], over[pair]) for pair in at}
    mean = _correlation(float(np.mean(list(at.values()))), np.mean(list(over.values()), axis=0))
    outcome = "disagree" if objecting else "agree" if mean.low > 0 or _same(prefers) else "open"
    dissenter = _dissenter(prefers, objecting, at) if objecting else None
    return Agreement(outcome, prefers, list(blind), objecting, pairs, mean, dissenter)


def kendall(a: Doubles, b: Doubles) -> Doubles:
    """Kendall's τ-b of each row of `a` and `b` (d, k) => (d,), −1 to 1; 0 where an order has only ties.

    Kendall 1945, Biometrika 33. NaN counts as tied.
    """
    first, second = np.triu_indices(a.shape[1], 1)
    x, y = (np.nan_to_num(np.sign(z[:, first] - z[:, second])) for z in (a, b))
    scale = np.sqrt(np.sum(x * x, axis=1) * np.sum(y * y, axis=1))
    tau: Doubles = np.sum(x * y, axis=1) / np.where(scale > 0, scale, 1.0)
    return tau


def joined(names: Sequence[str]) -> str:
    """["a", "b", "c"] => "a, b and c"."""
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _correlation(tau: float, draws: Doubles) -> Correlation:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Correlation(tau, float(min(low, tau)), float(max(high, tau)))


def _same(prefers: Mapping[str, int]) -> bool:
    return len(set(prefers.values())) == 1


def _dissenter(
    prefers: Mapping[str, int],
    objections: Sequence[tuple[str, str]],
    tau: Mapping[tuple[str, str], float],
) -> str | None:
    """The judge that every objection is by or about, or None.

    Of two, it is the one whose choice fewer others share, then the one whose order is less like the others'.
    None among two judges, where neither is more in the right.
    """
    involved = [name for name in prefers if all(name in pair for pair in objections)]
    if len(prefers) < 3 or not involved:
        return None

    def likeness(name: str) -> tuple[int, float]:
        sharing = list(prefers.values()).count(prefers[name])
        return sharing, float(np.mean([value for pair, value in tau.items() if name in pair]))

    return min(involved, key=likeness)
