"""The rank adviser: the smallest rank tied with the best, what it costs, and whether the pictures suffice.

A test that finds no difference does not show that there is none: with nine pictures no test finds any. So a
rank counts as tied with the best only where the pictures show that it lies within a margin of it, as in a
non-inferiority trial. The margin is a share of the way from the untuned base to the best rank. And it counts
only where that holds for every judge of a panel: each judge sees other things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from laureate.comparison import sample_sizes
from laureate.comparison.judge_agreement import agreement
from laureate.comparison.rank_advice import Advice, Finding, Verdict, View
from laureate.comparison.sample_sizes import LEVEL  # of all tests of one kind together, by Holm
from laureate.core.errors import LaureateError
from laureate.evaluation.scores import Estimate, PairedDifference, Resamples, Score, estimate, holm
from laureate.evaluation.scores.base import Doubles

MARGIN = 0.05  # of the way from the base to the best rank


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
    """`advise_panel` with one judge: the smallest rank that is tied with the best."""
    panel = {"the judge": (ranks, base)}
    return advise_panel(panel, resamples, prices, lower_is_better=lower_is_better, margin=margin)


def advise_panel(
    panel: Mapping[str, tuple[Mapping[int, Score], Score]],
    resamples: Resamples,
    prices: Mapping[str, tuple[Mapping[int, Score], Score]] | None = None,
    *,
    lower_is_better: bool = True,
    margin: float = MARGIN,
) -> Advice:
    """Recommend the smallest rank that every judge finds best, or tied with its best.

    `panel`: judge => one score of every rank (such as `polynomial_kernel` to the held-out portraits), and the
    same of the untuned base, all over the same prompts and seeds; `prices`: name => the same for what a rank
    may cost, such as content or memorisation. Differences are paired; their standard errors leave out prompts
    and references in turn (`scores.jackknife`). Two families of tests, each held to 5 % by Holm across ranks
    and judges: is a rank worse than the best, and is it within the margin of it? The margin, a share of the
    way from base to best, is part of the second test, so its own uncertainty is too.

    A judge that cannot tell the adapters of even its best rank from the base (Holm across judges) has no say:
    that asks what it sees, so trainings count as they are; all else is said of further trainings, too. Where
    no rank is best or tied for all, the recommendation is the leading judge's, of the ranks that no judge
    finds worse if it has any. Raises LaureateError without ranks or for a margin outside 0 to 1.
    """
    names = list(panel)
    ranks = sorted(panel[names[0]][0]) if names else []
    if not ranks or not 0 < margin < 1:
        raise LaureateError(f"the adviser needs ranks and a margin between 0 and 1, got {ranks} and {margin}")
    sign = 1.0 if lower_is_better else -1.0
    measured = {
        name: _measure(scores, base, sign, margin, resamples) for name, (scores, base) in panel.items()
    }
    gaps = dict(zip(names, holm([measured[name].gap.p for name in names]), strict=True))
    sees = {name: measured[name].gap.value > 0 and gaps[name] <= LEVEL for name in names}
    seeing = [name for name in names if sees[name]]
    views = _views(measured, seeing or names, resamples)
    views = {name: replace(views.get(name) or _views(measured, [name], resamples)[name], sees=sees[name])
             for name in names}  # fmt: skip
    lead = (seeing or names)[0]
    findings = tuple(_combined(rank, lead, {name: views[name] for name in seeing or names}) for rank in ranks)
    recommended, unanimous = _choice(findings, views[lead]) if seeing else (None, False)
    undecided = [f for f in findings if f.verdict == "undecided" and f.rank < (recommended or 0)]
    if recommended is None:
        wanted = [sample_sizes.wanted([measured[lead].gap], resamples, 1)]
    else:
        wanted = [f.wanted for f in undecided if f.wanted is not None]
    best = views[lead].best
    paid = {} if recommended is None else {
        name: (
            estimate(PairedDifference(scores[recommended], of_base), resamples),
            estimate(PairedDifference(scores[recommended], scores[best]), resamples),
        )
        for name, (scores, of_base) in (prices or {}).items()
    }  # fmt: skip
    objections = [
        (one, other)
        for one in seeing
        for other in seeing
        if _of(views[one], views[other].best).verdict == "worse"
    ]
    return Advice(
        rank=recommended,
        best=best,
        enough=unanimous and not undecided,
        findings=findings,
        prices=paid,
        prompts=len(resamples.groups),
        pictures=resamples.pictures,
        portraits=resamples.references,
        trainings=max(1, len(resamples.trainings)),
        wanted=sample_sizes.most(wanted) if wanted else None,
        lead=lead,
        views=views,
        agreement=agreement(
            {name: scores for name, (scores, _) in panel.items()},
            [name for name in names if not sees[name]] if len(names) > 1 else [],
            objections,
            resamples,
            lower_is_better=lower_is_better,
        ),
        unanimous=unanimous,
        parts=None if recommended is None else estimate(panel[lead][0][recommended], resamples),
    )


@dataclass(frozen=True)
class _Measured:
    """One judge's differences, before any test is corrected."""

    values: Mapping[int, float]  # rank => its score
    best: int
    gap: Estimate  # base less best
    differences: Mapping[int, Estimate]  # other rank => to the best
    within: Mapping[int, Estimate]  # other rank => to the best, less the margin


def _measure(
    ranks: Mapping[int, Score], base: Score, sign: float, margin: float, resamples: Resamples
) -> _Measured:
    values = {rank: sign * score() for rank, score in ranks.items()}
    best = min(sorted(values), key=values.__getitem__)
    others = sorted(set(ranks) - {best})
    return _Measured(
        {rank: ranks[rank]() for rank in ranks},
        best,
        # whether a judge sees these adapters, whatever others would be like
        estimate(_SignedDifference(base, ranks[best], sign), resamples, these_trainings=True),
        {rank: estimate(_SignedDifference(ranks[rank], ranks[best], sign), resamples) for rank in others},
        {
            rank: estimate(_MarginExcess(ranks[rank], ranks[best], base, margin, sign), resamples)
            for rank in others
        },
    )


def _views(measured: Mapping[str, _Measured], names: Sequence[str], resamples: Resamples) -> dict[str, View]:
    """What each of these judges says of every rank, tests corrected over all of them."""
    tests = [(name, rank) for name in names for rank in measured[name].differences]
    worse = dict(zip(tests, holm([measured[n].differences[r].p for n, r in tests]), strict=True))
    tied = dict(zip(tests, holm([_p_below_zero(measured[n].within[r]) for n, r in tests]), strict=True))
    views = {}
    for name in names:
        one = measured[name]
        findings = [_best_finding(one.best, one.values[one.best], resamples)]
        for rank, difference in one.differences.items():
            test, verdict = (name, rank), _verdict(worse[name, rank], tied[name, rank], difference.value)
            wanted = None
            if verdict == "undecided":
                wanted = sample_sizes.wanted([difference, one.within[rank]], resamples, len(tests))
            findings.append(
                Finding(rank, one.values[rank], difference, worse[test], tied[test], verdict, wanted)
            )
        views[name] = View(one.best, True, tuple(sorted(findings, key=lambda f: f.rank)))
    return views


def _verdict(p_worse: float, p_tied: float, difference: float) -> Verdict:
    if p_worse <= LEVEL and difference > 0:
        return "worse"
    return "tied" if p_tied <= LEVEL else "undecided"


def _of(view: View, rank: int) -> Finding:
    return next(finding for finding in view.findings if finding.rank == rank)


def _combined(rank: int, lead: str, views: Mapping[str, View]) -> Finding:
    """The panel's finding of a rank: worse where any judge finds it so, tied or best where all do."""
    each = [_of(view, rank) for view in views.values()]
    of_lead, verdicts = _of(views[lead], rank), {finding.verdict for finding in each}
    verdict: Verdict = "undecided"
    if "worse" in verdicts:
        verdict = "worse"
    elif "undecided" not in verdicts:
        verdict = of_lead.verdict
    wanted = [finding.wanted for finding in each if finding.wanted is not None]
    p_tied = max(finding.p_tied for finding in each)
    p_worse = min(finding.p_worse for finding in each)
    return replace(of_lead, verdict=verdict, p_worse=p_worse, p_tied=p_tied,
                   wanted=sample_sizes.most(wanted) if verdict == "undecided" else None)  # fmt: skip


def _choice(findings: Sequence[Finding], lead: View) -> tuple[int, bool]:
    """The recommended rank, and whether every judge finds it best or tied."""
    accepted = [f.rank for f in findings if f.verdict in ("best", "tied")]
    if accepted:
        return min(accepted), True
    worse = {f.rank for f in findings if f.verdict == "worse"}
    return min([rank for rank in lead.acceptable if rank not in worse] or lead.acceptable), False


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
