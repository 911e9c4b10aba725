"""The rank adviser: the smallest rank tied with the best, what it costs, and whether the pictures suffice.

A test that finds no difference does not show that there is none: with nine pictures no test finds any. So a
rank counts as tied with the best only where the pictures show that it lies within a margin of it, as in a
non-inferiority trial. The margin is a share of the way from the untuned base to the best rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from laureate.core.errors import LaureateError
from laureate.evaluation.scores import Estimate, PairedDifference, Resamples, Score, estimate, holm
from laureate.evaluation.scores.base import Doubles

MARGIN = 0.05  # of the way from the base to the best rank
LEVEL = 0.05  # of all tests of one kind together, by Holm
POWER = 0.8  # of the tests, with the wanted number of pictures

Verdict = Literal["best", "tied", "worse", "undecided"]


@dataclass(frozen=True)
class Finding:
    """One rank compared with the best."""

    rank: int
    value: float
    difference: Estimate  # to the best rank, paired; above 0: this rank is worse
    p_worse: float  # of "it is not worse than the best", two-sided, after Holm
    p_tied: float  # of "it is worse than the best by the margin or more", after Holm
    verdict: Verdict
    prompts_wanted: int | None = None  # that would decide an undecided rank; None: more references needed


@dataclass(frozen=True)
class Advice:
    """The recommendation. `rank` None: not even the best rank differs from the untuned base."""

    rank: int | None
    best: int
    enough: bool  # whether no rank smaller than the recommended one is undecided
    findings: tuple[Finding, ...]
    prices: dict[str, tuple[Estimate, Estimate]]  # score => recommended rank less base, less best
    prompts: int
    pictures: int
    prompts_wanted: int | None  # that would decide all open ranks; None: none is open, or prompts cannot

    @property
    def pictures_wanted(self) -> int | None:
        """The pictures of `prompts_wanted` prompts, with as many per prompt as now."""
        return (
            None if self.prompts_wanted is None else ceil(self.prompts_wanted * self.pictures / self.prompts)
        )

    @property
    def sentences(self) -> list[str]:
        """The advice in words, a sentence a line."""
        sentences = []
        if self.rank is None:
            sentences.append(
                f"Not enough pictures to tell: with {self.pictures} pictures even the best rank, "
                f"{self.best}, cannot be told from the untuned base."
            )
        elif self.rank == self.best:
            sentences.append(f"Take rank {self.rank}: the best, and no smaller rank is shown to come close.")
        else:
            sentences.append(
                f"Take rank {self.rank}: the smallest that is tied with the best, rank {self.best}."
            )
        recommended = self.rank or 0
        open_ranks = [f.rank for f in self.findings if f.verdict == "undecided" and f.rank < recommended]
        if open_ranks:
            names = " and ".join(", ".join(map(str, open_ranks)).rsplit(", ", 1))
            which = f"Rank{'s' if len(open_ranks) > 1 else ''} {names}"
            sentences.append(f"{which} may do as well: not enough pictures to tell.")
        if self.rank is None or open_ranks:
            sentences.append(
                f"About {self.pictures_wanted} pictures ({self.prompts_wanted} prompts) would tell."
                if self.prompts_wanted
                else "More prompts alone would not tell: the held-out portraits are too few."
            )
        return sentences


class _MarginExcess(Score):
    """How much worse a rank is than the best, less the margin: below 0 where they are tied."""

    def __init__(self, rank: Score, best: Score, base: Score, margin: float, sign: float) -> None:
        self.rank, self.best, self.base, self.margin, self.sign = rank, best, base, margin, sign
        self.pictures, self.references = rank.pictures, rank.references

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        rank, best, base = (score.resampled(u, v) for score in (self.rank, self.best, self.base))
        return self.sign * (rank - best) - self.margin * self.sign * (base - best)


def advise(
    ranks: Mapping[int, Score],
    base: Score,
    resamples: Resamples,
    prices: Mapping[str, tuple[Mapping[int, Score], Score]] | None = None,
    *,
    lower_is_better: bool = True,
    margin: float = MARGIN,
) -> Advice:
    """Recommend the smallest rank that is tied with the best.

    `ranks`: one score of every rank (such as `polynomial_kernel` to the held-out portraits), `base` the same
    of the untuned base, all over the same prompts and seeds; `prices`: name => the same for what a rank may
    cost, such as content or memorisation. Differences are paired; their standard errors leave out prompts and
    references in turn (`scores.jackknife`). Two families of tests, each held to 5 % by Holm across ranks: is
    a rank worse than the best, and is it within the margin of it? The margin, a share of the way from base to
    best, is part of the second test, so its own uncertainty is too. Raises LaureateError without ranks or for
    a margin outside 0 to 1.
    """
    if not ranks or not 0 < margin < 1:
        raise LaureateError(
            f"the adviser needs ranks and a margin between 0 and 1, got {list(ranks)} and {margin}"
        )
    sign = 1.0 if lower_is_better else -1.0
    values = {rank: sign * score() for rank, score in ranks.items()}
    best = min(sorted(values), key=values.__getitem__)
    others = sorted(set(ranks) - {best})
    base_gap = estimate(_SignedDifference(base, ranks[best], sign), resamples)
    differences = {
        rank: estimate(_SignedDifference(ranks[rank], ranks[best], sign), resamples) for rank in others
    }
    within = {
        rank: estimate(_MarginExcess(ranks[rank], ranks[best], base, margin, sign), resamples)
        for rank in others
    }
    worse = dict(zip(others, holm([differences[rank].p for rank in others]), strict=True))
    tied = dict(zip(others, holm([_p_below_zero(within[rank]) for rank in others]), strict=True))
    findings = [_best_finding(best, ranks[best](), resamples)]
    for rank in others:
        verdict: Verdict = "undecided"
        if worse[rank] <= LEVEL and differences[rank].value > 0:
            verdict = "worse"
        elif tied[rank] <= LEVEL:
            verdict = "tied"
        wanted = None
        if verdict == "undecided":
            wanted = _prompts_wanted([differences[rank], within[rank]], len(resamples.groups), len(others))
        findings.append(
            Finding(rank, ranks[rank](), differences[rank], worse[rank], tied[rank], verdict, wanted)
        )
    findings.sort(key=lambda finding: finding.rank)
    differs_from_base = base_gap.value > 0 and base_gap.p <= LEVEL
    smallest = next(f.rank for f in findings if f.verdict in ("best", "tied"))
    recommended = smallest if differs_from_base else None
    undecided = [f for f in findings if f.verdict == "undecided" and f.rank < (recommended or 0)]
    if recommended is None:
        prompts_wanted = _prompts_wanted([base_gap], len(resamples.groups), 1)
    else:
        each = [f.prompts_wanted for f in undecided]
        prompts_wanted = max((e for e in each if e), default=None) if all(each) else None
    paid = {} if recommended is None else {
        name: (
            estimate(PairedDifference(scores[recommended], of_base), resamples),
            estimate(PairedDifference(scores[recommended], scores[best]), resamples),
        )
        for name, (scores, of_base) in (prices or {}).items()
    }  # fmt: skip
    return Advice(
        rank=recommended,
        best=best,
        enough=recommended is not None and not undecided,
        findings=tuple(findings),
        prices=paid,
        prompts=len(resamples.groups),
        pictures=resamples.pictures,
        prompts_wanted=prompts_wanted,
    )


class _SignedDifference(Score):
    """A paired difference that is above 0 where the first is worse."""

    def __init__(self, of: Score, less: Score, sign: float) -> None:
        self.difference, self.sign = PairedDifference(of, less), sign
        self.pictures, self.references = of.pictures, of.references

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        return self.sign * self.difference.resampled(u, v)


def _best_finding(best: int, value: float, resamples: Resamples) -> Finding:
    nothing = Estimate(0.0, 0.0, 0.0, 0.0, 0.0, max(len(resamples.groups) - 1.0, 1.0))
    return Finding(best, value, nothing, 1.0, 0.0, "best")


def _p_below_zero(excess: Estimate) -> float:
    """One-sided p-value of "the true value is 0 or more"."""
    return excess.p / 2 if excess.value < 0 else 1 - excess.p / 2


def _prompts_wanted(estimates: list[Estimate], prompts: int, tests: int) -> int | None:
    """Prompts that would decide the easier of these tests with a power of 80 %, if the values are true.

    Only the variance from prompts shrinks with their number; None where the variance from references alone is
    too large. The level is Bonferroni's over `tests`, which is never above Holm's.
    """
    from scipy.special import ndtri

    z = ndtri(POWER) - ndtri(LEVEL / 2 / tests)
    wanted = []
    for one in estimates:
        allowed = (one.value / z) ** 2 - one.from_references  # variance from prompts
        if allowed > 0:
            wanted.append(ceil(prompts * one.from_prompts / allowed))
    return max(min(wanted), prompts + 1) if wanted else None
