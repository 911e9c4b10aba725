"""A race of candidates: held-out loss first, then pictures in rounds that double, for those still in it.

After every round of pictures a candidate leaves that is worse than the leader by a paired test (racing, Maron
and Moore 1994), or that is not among the better half (successive halving, Jamieson and Talwalkar 2016,
arXiv:1502.07943). Racing, because candidates share prompts, noise and portraits, so that a difference is
known long before a score is; halving too, because a test on a few pictures seldom decides, and the number of
pictures must have a bound. The naive candidate, the first, stays to the end: gains are measured against it.

The race is run three times over the same pictures: by all prompts and portraits, and by each half of both,
for `gain`. A candidate is drawn as long as it is in one of the three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.evaluation.scores.base import Rows
from laureate.sampling.choosing import panel_share
from laureate.sampling.choosing.candidates import Candidate
from laureate.sampling.choosing.cost import VIEWS, stops
from laureate.sampling.choosing.panel_share import LEVEL, Difference, Features, PanelShare

NAIVE = 0  # the first candidate
Drawer = Callable[[Candidate | None, int, int], Features]


@dataclass(frozen=True)
class Setting:
    """What races: candidates, what is known before a picture is drawn, and how pictures are shared."""

    candidates: Sequence[Candidate]  # the naive one first
    losses: Sequence[float]  # held out, of each; NaN where it is not known
    base_loss: float  # before the first step
    trainings: Mapping[float, Sequence[int]]  # learning rate => training seed that draws each prompt
    failed: Mapping[float, Mapping[int, str]]  # learning rate => training seed => why it failed
    portraits: Features  # of the held-out portraits, (m, d) by judge
    prompts: int
    per_prompt: int  # pictures of a prompt
    seeds: int  # training seeds of the study
    first: int  # prompts of the first round
    loss_margin: float


@dataclass
class Race:
    """A race as it goes on; `run` runs it."""

    setting: Setting
    draw: Drawer  # the features of a candidate's (None: the base's) pictures of prompts [start, stop)
    alive: dict[int | None, list[int]] = field(default_factory=dict)  # view => candidates still in it
    features: dict[int, dict[str, Any]] = field(default_factory=dict)  # candidate => of all its pictures
    base: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)  # for the record
    scales: dict[str, float] = field(default_factory=dict)
    _scores: dict[tuple[int, int | None, int], PanelShare] = field(default_factory=dict)  # of this round

    def run(self) -> None:
        """Run all rounds. Raises LaureateError where no training of the rank has weights."""
        self._by_loss()
        start = 0
        for stop in stops(self.setting.first, self.setting.prompts):
            self._by_pictures(start, stop)
            start = stop

    def prompts_of(self, candidate: int) -> int:
        """How many prompts a candidate has drawn."""
        return len(next(iter(self.features[candidate].values()))) // self.setting.per_prompt

    def score(self, candidate: int, view: int | None, prompts: int) -> PanelShare:
        """The score of a candidate in a view over its first prompts."""
        key = candidate, view, prompts
        if key not in self._scores:
            self._scores[key] = self._score(*key)
        return self._scores[key]

    def _score(self, candidate: int, view: int | None, prompts: int) -> PanelShare:
        rows, portraits = self._rows(view, prompts), self._portraits(view)
        return panel_share.share(
            {name: x[rows] for name, x in self.features[candidate].items()},
            {name: y[portraits] for name, y in self.setting.portraits.items()},
            self.scales,
            self._trainings(candidate, rows),
        )

    def difference(self, of: int, less: int, view: int | None, prompts: int) -> Difference:
        """One candidate's score less another's in a view over the first prompts."""
        rows = self._rows(view, prompts)
        labels = max((self._trainings(c, rows) for c in (of, less)), key=lambda seeds: len(set(seeds)))
        resamples = scores.resample(
            (rows // self.setting.per_prompt).tolist(), len(self._portraits(view)), 1, 0, labels
        )
        one, other = (self.score(candidate, view, prompts) for candidate in (of, less))
        return panel_share.difference(one, other, resamples)

    def best(self, view: int | None) -> int:
        """The finalist with the lowest score."""
        return min(self.alive[view], key=lambda c: self.score(c, view, self.setting.prompts)())

    def _by_loss(self) -> None:
        """The round before any picture: failed trainings, and held-out losses too high to win."""
        found, out = self.setting, dict[int, str]()
        whole = [c for c in found.candidates if not found.failed.get(c.learning_rate)]
        for index, candidate in enumerate(found.candidates):
            failed = found.failed.get(candidate.learning_rate, {})
            said = "; ".join(f"training seed {seed} failed: {reason}" for seed, reason in failed.items())
            if not set(found.trainings.get(candidate.learning_rate, ())):
                out[index] = f"every training failed: {said}"
            elif failed and whole:
                out[index] = said
        left = [index for index in range(len(found.candidates)) if index not in out]
        if not left:
            raise LaureateError(
                f"every training of the rank has failed ({'; '.join(dict.fromkeys(out.values()))}); lower "
                "train.learning_rate or raise train.warmup"
            )
        known = [found.losses[index] for index in left if math.isfinite(found.losses[index])]
        limit = min(known) + found.loss_margin * (found.base_loss - min(known)) if known else math.inf
        for index in left:
            if index != NAIVE and found.losses[index] > limit and found.loss_margin < 1:
                out[index] = f"held-out loss above {limit:.4g}"
        alive = [index for index in range(len(found.candidates)) if index not in out]
        self.alive = {view: list(alive) for view in VIEWS}
        rows = [self._record(index, out.get(index)) for index in range(len(found.candidates))]
        self.rounds.append({"by": "held-out loss", "prompts": 0, "pictures": 0, "candidates": rows})

    def _by_pictures(self, start: int, stop: int) -> None:
        """Draw prompts [start, stop) of whoever is still in it, and let those leave that cannot win."""
        racing = sorted({candidate for alive in self.alive.values() for candidate in alive})
        drawn = self.draw(None, start, stop)
        self.base = _joined(self.base, drawn)
        self.scales = panel_share.scales_of(self.base, self.setting.portraits)
        self._scores.clear()  # their scale has changed
        out: dict[int, str] = {}
        for candidate in racing:
            new = self.draw(self.setting.candidates[candidate], start, stop)
            self.features[candidate] = _joined(self.features.get(candidate, {}), new)
            if not all(np.isfinite(x).all() for x in new.values()):
                out[candidate] = "a judge's features of its pictures are not finite numbers"
        if len(out) == len(racing):
            raise LaureateError(
                "no candidate draws pictures that a judge can read; lower train.learning_rate"
            )
        for view, alive in self.alive.items():
            self.alive[view] = [candidate for candidate in alive if candidate not in out]
        before = list(self.alive[None])
        for view in VIEWS:
            left = self._eliminated(view, stop)
            self.alive[view] = [candidate for candidate in self.alive[view] if candidate not in left]
            out |= left if view is None else {}
        values = {candidate: self.score(candidate, None, stop)() for candidate in before}
        judges = {c: {n: k() for n, k in self._kernels(c, stop).items()} for c in before}
        rows = [
            self._record(candidate, out.get(candidate), values.get(candidate), judges.get(candidate))
            for candidate in racing
        ]
        pictures = (stop - start) * self.setting.per_prompt * (1 + len(racing))
        self.rounds.append({"by": "pictures", "prompts": stop, "pictures": pictures, "candidates": rows})

    def _eliminated(self, view: int | None, stop: int) -> dict[int, str]:
        """Who leaves a view after a round, and why."""
        alive = self.alive[view]
        values = {candidate: self.score(candidate, view, stop)() for candidate in alive}
        if len(alive) < 2 or not all(map(math.isfinite, values.values())):
            return {}
        leader, out = min(alive, key=values.__getitem__), {}
        for candidate in alive:
            if candidate in (leader, NAIVE):
                continue
            apart = self.difference(candidate, leader, view, stop)
            if apart.p_above <= LEVEL:
                title = self.setting.candidates[leader].title
                out[candidate] = f"worse than {title} by {apart.value:.3g} (p {apart.p_above:.2g})"
        if stop < self.setting.prompts:
            half = max(2, math.ceil(len(alive) / 2))
            left = sorted((c for c in alive if c not in out), key=values.__getitem__)
            out |= {c: f"not among the better {half} of {len(alive)}" for c in left[half:] if c != NAIVE}
        return out

    def _rows(self, view: int | None, prompts: int) -> Rows:
        """The pictures of a view among those of the first prompts; halves hold all training seeds alike."""
        numbers = np.repeat(np.arange(prompts), self.setting.per_prompt)
        inside = np.ones(len(numbers), bool) if view is None else numbers // self.setting.seeds % 2 == view
        return np.flatnonzero(inside)

    def _portraits(self, view: int | None) -> Rows:
        """The portraits of a view."""
        numbers = np.arange(len(next(iter(self.setting.portraits.values()))))
        return numbers if view is None else numbers[numbers % 2 == view]

    def _trainings(self, candidate: int, rows: Rows) -> list[int]:
        """The training seed that drew each of these pictures; nothing where there is one."""
        seeds = self.setting.trainings[self.setting.candidates[candidate].learning_rate]
        labels = [seeds[row // self.setting.per_prompt] for row in rows]
        return labels if len(set(labels)) > 1 else []

    def _kernels(self, candidate: int, prompts: int) -> dict[str, scores.Kernel]:
        rows = self._rows(None, prompts)
        pictures = {name: x[rows] for name, x in self.features[candidate].items()}
        return panel_share.kernels_of(pictures, self.setting.portraits, self._trainings(candidate, rows))

    def _record(
        self,
        index: int,
        out: str | None,
        score: float | None = None,
        judges: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """A candidate in a round, as JSON; numbers have six digits."""
        one, loss = self.setting.candidates[index], self.setting.losses[index]
        return {
            "learning_rate": one.learning_rate,
            "step": one.step,
            "strength": one.strength,
            "loss": rounded(loss),
            "score": rounded(score),
            "judges": {name: rounded(value) for name, value in (judges or {}).items()},
            "out": out,
            "in_halves": sum(index in self.alive[view] for view in (0, 1)),
        }


def rounded(value: float | None) -> float | None:
    """Six significant digits; JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _joined(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Features with further rows."""
    return {name: np.concatenate([before[name], x]) if before else np.asarray(x) for name, x in new.items()}
