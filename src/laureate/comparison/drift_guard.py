"""The guard against an adapter that leaks: its style shows in pictures that nobody asked it for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laureate.comparison import results_table
from laureate.evaluation import scores, scoring
from laureate.evaluation.scores import Estimate

if TYPE_CHECKING:
    from laureate.comparison.paired_tests import ScoredModel

LEVEL = 0.05
KEY = "leak"


@dataclass(frozen=True)
class Leak:
    """In which share of a rank's pictures the style is read although the prompt does not ask for it."""

    rank: int
    share: Estimate  # 0 to 1
    of_base: Estimate  # the same of the untuned base
    difference: Estimate  # share − of_base, paired by prompt

    @property
    def leaks(self) -> bool:
        """Whether the share is above the base's, beyond chance."""
        return self.difference.value > 0 and self.difference.p <= LEVEL


def leaks_of(ranks: Mapping[int, ScoredModel], base: ScoredModel) -> list[Leak]:
    """The leak of every rank; none where no judge reads the style, or no such picture is drawn."""
    if KEY not in base.scores or any(KEY not in model.scores for model in ranks.values()):
        return []
    of_base = _share(base)
    return [
        Leak(
            rank,
            _share(model),
            of_base,
            scores.estimate(scores.PairedDifference(model.scores[KEY], base.scores[KEY]), base.resamples),
        )
        for rank, model in sorted(ranks.items())
    ]


def sentences(leaks: Sequence[Leak], rank: int | None) -> list[str]:
    """What to know of the rank that is taken, in one sentence; none where it is not measured."""
    taken = next((leak for leak in leaks if leak.rank == rank), None)
    if taken is None:
        return []
    share, base = shown(taken.share), shown(taken.of_base, False)
    if not taken.leaks:
        return [
            "It does not leak beyond chance: where the prompt does not ask for the style, it is read in "
            f"{share} of its pictures, and in {base} of the base's."
        ]
    least = min(leaks, key=lambda leak: (leak.share.value, leak.rank))
    other = (
        f"; rank {least.rank} leaks least, {shown(least.share)}" if least.share.high < taken.share.low else ""
    )
    return [
        f"It leaks: where the prompt does not ask for the style, it is read in {share} of its pictures, and "
        f"in {base} of the base's{other}. Load it only for pictures in this style."
    ]


def shown(share: Estimate, interval: bool = True) -> str:
    """0.41 => "41 % (30 to 52)"."""
    value, ends = results_table.format_interval(share.value, share.low, share.high, percent=True)
    return f"{value} ({ends.replace('–', ' to ')})" if interval else value


def _share(model: ScoredModel) -> Estimate:
    return scoring.estimate(KEY, model.scores[KEY], model.resamples)[0]
