"""The arms of a study: rank x learning rate x training seed, each trained as if it were alone.

Needs no torch. The *main arm* of a rank has the first of `train.seeds` and the rank's `train.learning_rate`;
its files lie in models/lora/rank-N, those of the rank's further arms in models/lora/rank-N/arms/NAME.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from laureate.config.params import Train, of_rank
from laureate.core.paths import ARMS


@dataclass(frozen=True)
class Arm:
    """One training: the rank of its adapter, its learning rate, its seed."""

    rank: int
    learning_rate: float
    seed: int
    name: str = ""  # what differs from the main arm of the rank, such as `rate-0.003_seed-43`; "": nothing

    @property
    def main(self) -> bool:
        """Whether this is the main arm of its rank."""
        return not self.name

    @property
    def key(self) -> str:
        """`16` for the main arm of rank 16, `16/seed-43` for another arm: names results and tensors."""
        return f"{self.rank}/{self.name}" if self.name else str(self.rank)

    @property
    def title(self) -> str:
        """The arm in words: `rank 16`, or `rank 16 (seed-43)`."""
        return f"rank {self.rank} ({self.name})" if self.name else f"rank {self.rank}"

    @property
    def place(self) -> Path:
        """Where its files lie, seen from the folder of its rank: `.` or `arms/seed-43`."""
        return ARMS / self.name if self.name else Path()


def main_arm(train: Train, rank: int) -> Arm:
    """The main arm of a rank."""
    return Arm(rank, float(of_rank(train.learning_rate, rank)), train.seeds[0])


def arms_of(train: Train, rank: int) -> list[Arm]:
    """The arms of a rank, every learning rate with every seed, the main arm first.

    A rate of `train.learning_rates` that is the rank's `train.learning_rate` is not tried twice.
    """
    main = main_arm(train, rank)
    rates = dict.fromkeys([main.learning_rate, *map(float, train.learning_rates)])
    return [Arm(rank, rate, seed, _name(main, rate, seed)) for rate in rates for seed in train.seeds]


def arms_of_seeds(train: Train, rank: int) -> list[Arm]:
    """The arms of a rank that differ from its main arm by the seed alone, one per seed, in their order."""
    return [arm for arm in arms_of(train, rank) if arm.learning_rate == main_arm(train, rank).learning_rate]


def _name(main: Arm, rate: float, seed: int) -> str:
    """What differs from the main arm; a float's shortest form that is read back as the same number."""
    parts = [f"rate-{rate!r}"] if rate != main.learning_rate else []
    return "_".join([*parts, *([f"seed-{seed}"] if seed != main.seed else [])])
