"""Studies whose best learning rate, step and strength are planted: features drawn from known distributions.

A picture's features are normal with unit variance around the portraits' mean, moved by how far its candidate
is from the portraits. Part of the noise belongs to the prompt and is the same for all candidates, as pictures
of one prompt from one noise are alike. The true distances are known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from laureate.sampling.choosing import race
from laureate.sampling.choosing.candidates import Candidate

JUDGES = ("imagenet", "vision", "clip")
WIDTH = 8  # features of a judge
BASE = 2.0  # how far the untuned base is from the portraits
SHARED = 0.7  # part of a picture's variance that its prompt and noise have in all candidates
PROMPTS, PORTRAITS, FIRST = 36, 34, 12  # as in the default study
RATES, STEPS, STRENGTHS = (1e-3, 3e-4, 3e-3), (240, 80, 160), (1.0, 0.7, 1.3)
COLLAPSED = 3.0  # how far the pictures of a training that collapsed are


@dataclass(frozen=True)
class Plan:
    """What is planted of a rank."""

    far: Mapping[Candidate, float]  # distance in feature space; the naive candidate first
    luck: float = 0.0  # standard deviation of the distance from one training to the next
    seeds: Sequence[int] = (42,)
    failed: Mapping[float, Mapping[int, str]] = field(default_factory=dict)  # rate => seed => why
    collapsed: Sequence[tuple[float, int]] = ()  # (rate, seed) of trainings that draw the same wrong picture

    @property
    def candidates(self) -> list[Candidate]:
        """All of them, the naive one first."""
        return list(self.far)


def candidates(rates: int = 3, steps: int = 3, strengths: int = 3) -> list[Candidate]:
    """Every rate with every step and strength, the naive one first."""
    return [
        Candidate(rate, step, strength)
        for rate in RATES[:rates]
        for step in STEPS[:steps]
        for strength in STRENGTHS[:strengths]
    ]


@dataclass
class Study:
    """One simulated study of a rank: its portraits, prompts, trainings; pictures are drawn when asked for."""

    plan: Plan
    seed: int
    prompts: int = PROMPTS
    portraits: int = PORTRAITS
    number: int = 0  # of the rank: its pictures are others, its portraits and prompts are the study's

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 1])
        normal = rng.standard_normal
        self.real = {name: normal((self.portraits, WIDTH)) for name in JUDGES}
        self.of_prompts = {name: normal((self.prompts, WIDTH)) for name in JUDGES}
        rates = dict.fromkeys(one.learning_rate for one in self.plan.candidates)
        self.lucks = {(r, s): self.plan.luck * float(normal()) for r in rates for s in self.plan.seeds}

    def distance(self, one: Candidate, training: int) -> float:
        """How far the pictures of one training are."""
        if (one.learning_rate, training) in self.plan.collapsed:
            return COLLAPSED
        return max(0.0, self.plan.far[one] + self.lucks[one.learning_rate, training])

    def draw(self, one: Candidate | None, start: int, stop: int) -> dict[str, np.ndarray]:
        """The features of a candidate's pictures of some prompts, (n, WIDTH) by judge; None: the base."""
        number = 0 if one is None else 1 + self.plan.candidates.index(one)
        seeds = self.trainings(one) if one else [0] * self.prompts
        moved = np.array([self.distance(one, seed) if one else BASE for seed in seeds])
        wrong = np.array(
            [one is not None and (one.learning_rate, seed) in self.plan.collapsed for seed in seeds]
        )
        found = {}
        for place, name in enumerate(JUDGES):
            rng = np.random.default_rng([self.seed, 2, self.number, number, place])
            own = rng.standard_normal((self.prompts, WIDTH))
            x = np.sqrt(SHARED) * self.of_prompts[name] + np.sqrt(1 - SHARED) * own
            x[wrong] = 0.0
            x[:, place] += moved
            found[name] = x[start:stop]
        return found

    def trainings(self, one: Candidate) -> list[int]:
        """The training seed that draws each prompt, as in the study."""
        from laureate.sampling.seed_shares import share_out

        failed = self.plan.failed.get(one.learning_rate, {})
        return share_out(self.prompts, self.plan.seeds, failed)

    def run(self, first: int = FIRST) -> race.Race:
        """Run the race. Held-out losses are not known: every candidate is drawn."""
        known = self.plan.candidates
        rates = {one.learning_rate: one for one in known}
        everyone_failed = {r for r, why in self.plan.failed.items() if len(why) == len(self.plan.seeds)}
        running = race.Race(
            race.Setting(
                candidates=known,
                losses=[float("nan")] * len(known),
                base_loss=1.0,
                trainings={r: self.trainings(one) for r, one in rates.items() if r not in everyone_failed},
                failed=self.plan.failed,
                portraits=self.real,
                prompts=self.prompts,
                per_prompt=1,
                seeds=len(self.plan.seeds),
                first=first,
                loss_margin=0.1,
            ),
            self.draw,
        )
        running.run()
        return running


def true_share(far: float, collapsed: bool = False) -> float:
    """The true panel share of pictures that are `far` away: their kernel distance over the base's."""
    return distance_of(far, 0.0 if collapsed else 1.0) / distance_of(BASE, 1.0)


def share_of(plan: Plan, one: Candidate) -> float:
    """The true panel share of a candidate: the mean over its trainings that have not failed, without luck."""
    failed = plan.failed.get(one.learning_rate, {})
    wrong = {(rate, seed) for rate, seed in plan.collapsed}
    values = [
        true_share(COLLAPSED, True) if (one.learning_rate, seed) in wrong else true_share(plan.far[one])
        for seed in plan.seeds
        if seed not in failed
    ]
    return float(np.mean(values))


def distance_of(far: float, variance: float = 1.0) -> float:
    """Kernel distance of N(far e, variance I) to N(0, I) by the kernel (<a, b> / d + 1)^3, from moments.

    The kernel's mean over two independent distributions is 1 + 3 <m1, m1'> / d + 3 <M2, M2'> / d^2 +
    <M3, M3'> / d^3 with the moment tensors of both.
    """
    d, mean = WIDTH, np.zeros(WIDTH)
    mean[0] = far
    one, other = _moments(mean, variance), _moments(np.zeros(d), 1.0)

    def kernel(p: tuple[np.ndarray, ...], q: tuple[np.ndarray, ...]) -> float:
        return float(
            1 + sum(c * np.sum(a * b) for c, a, b in zip((3 / d, 3 / d**2, 1 / d**3), p, q, strict=True))
        )

    return kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)


def _moments(mean: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First, second and third moment tensor of a normal distribution."""
    eye = variance * np.eye(len(mean))
    third = np.einsum("i,j,k->ijk", mean, mean, mean)
    for axes in ("ij,k->ijk", "ik,j->ijk", "jk,i->ijk"):
        third = third + np.einsum(axes, eye, mean)
    return mean, eye + np.outer(mean, mean), third
