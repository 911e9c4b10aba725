"""What the rank adviser says: findings per rank and judge, the recommendation, and its sentences."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from laureate.comparison import sample_sizes
from laureate.comparison.judge_agreement import Agreement, joined
from laureate.comparison.sample_sizes import Wanted
from laureate.evaluation.scores import Estimate

Verdict = Literal["best", "tied", "worse", "undecided"]


@dataclass(frozen=True)
class Finding:
    """One rank compared with the best, by one judge or by the panel."""

    rank: int
    value: float
    difference: Estimate  # to the best rank, paired; above 0: this rank is worse
    p_worse: float  # of "it is not worse than the best", two-sided, after Holm
    p_tied: float  # of "it is worse than the best by the margin or more", after Holm
    verdict: Verdict
    wanted: Wanted | None = None  # what would decide an undecided rank

    @property
    def prompts_wanted(self) -> int | None:
        """Prompts that would decide an undecided rank; None: it is decided, or prompts alone cannot."""
        return None if self.wanted is None else self.wanted.prompts


@dataclass(frozen=True)
class View:
    """What one judge of the panel says of every rank."""

    best: int
    sees: bool  # whether it tells its best rank from the untuned base; else it has no say
    findings: tuple[Finding, ...]  # by rank

    @property
    def acceptable(self) -> list[int]:
        """The ranks that are its best or tied with it."""
        return [f.rank for f in self.findings if f.verdict in ("best", "tied")]


@dataclass(frozen=True)
class Advice:
    """The recommendation. `rank` None: no judge tells even its best rank from the untuned base.

    `best`, and the values and differences of `findings`, are those of the judge that leads: the first of the
    panel that sees a difference. The verdicts of `findings` are the panel's.
    """

    rank: int | None
    best: int
    enough: bool  # whether the panel calls the rank best or tied, and no smaller one is undecided
    findings: tuple[Finding, ...]
    prices: dict[str, tuple[Estimate, Estimate]]  # score => recommended rank less base, less best
    prompts: int
    pictures: int
    portraits: int  # held out
    trainings: int  # of each rank
    wanted: Wanted | None  # what would decide all open ranks; None: none is open
    lead: str
    views: dict[str, View]  # judge => what it says
    agreement: Agreement
    unanimous: bool  # whether every judge that sees calls `rank` its best or tied with it
    parts: Estimate | None = None  # the score of `rank` by the judge that leads, with its parts of variance

    @property
    def prompts_wanted(self) -> int | None:
        """Prompts that would decide all open ranks; None: none is open, or prompts alone cannot."""
        return None if self.wanted is None else self.wanted.prompts

    @property
    def pictures_wanted(self) -> int | None:
        """The pictures of `prompts_wanted` prompts, with as many per prompt as now."""
        return (
            None if self.prompts_wanted is None else ceil(self.prompts_wanted * self.pictures / self.prompts)
        )

    @property
    def answer(self) -> str:
        """The recommendation in one sentence."""
        if self.rank is None:
            return (
                f"Not enough pictures to tell: with {self.pictures} pictures even the best rank, "
                f"{self.best}, cannot be told from the untuned base."
            )
        seeing = [view for view in self.views.values() if view.sees]
        is_best = self.rank == self.best
        if not self.unanimous:
            place = "the best" if is_best else f"tied with the best, rank {self.best},"
            return (
                f"Take rank {self.rank}: {place} by the judge {self.lead}; "
                "no rank is shown to be best or tied with the best for every judge."
            )
        if len({view.best for view in seeing}) > 1:
            return f"Take rank {self.rank}: the smallest that is best or tied with the best for every judge."
        if is_best:
            return f"Take rank {self.rank}: the best, and no smaller rank is shown to come close."
        return f"Take rank {self.rank}: the smallest that is tied with the best, rank {self.best}."

    @property
    def open_questions(self) -> list[str]:
        """What more pictures could change, and how many would; no sentence where nothing is open."""
        sentences = []
        recommended = self.rank or 0
        open_ranks = [f.rank for f in self.findings if f.verdict == "undecided" and f.rank < recommended]
        if open_ranks:
            names = joined([str(rank) for rank in open_ranks])
            which = f"Rank{'s' if len(open_ranks) > 1 else ''} {names}"
            sentences.append(f"{which} may do as well: not enough pictures to tell.")
        if self.rank is None or open_ranks:
            counts = self.prompts, self.pictures, self.portraits, self.trainings
            sentences.append(sample_sizes.sentence(self.wanted or sample_sizes.NOTHING, *counts))
        return sentences

    @property
    def sentences(self) -> list[str]:
        """The advice in words, a sentence a line."""
        agreement = [self.agreement.sentence] if self.agreement.sentence else []
        return [self.answer, *self.open_questions, *agreement]
