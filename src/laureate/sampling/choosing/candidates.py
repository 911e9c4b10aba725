"""The candidates of a choice: learning rate x step x strength of one rank, for all its training seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from laureate.config.params import Choose, Sample, Train
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_CURVE, adapter_folder, curve_file
from laureate.core.text_files import read_text
from laureate.networks.lora.arm import Arm, arms_of

Curve = list[tuple[int, float]]  # step, held-out loss


@dataclass(frozen=True)
class Candidate:
    """What a rank may be drawn with."""

    learning_rate: float
    step: int
    strength: float

    @property
    def title(self) -> str:
        """In words: `learning rate 0.001, step 240, strength 1`."""
        return f"learning rate {self.learning_rate:g}, step {self.step}, strength {self.strength:g}"


def candidates_of(train: Train, sample: Sample, choose: Choose, rank: int, last_step: int) -> list[Candidate]:
    """Every rate with every step and every strength; the naive one (the rank's `train.learning_rate`, the
    last step, `sample.strength`) first."""
    rates = dict.fromkeys(arm.learning_rate for arm in arms_of(train, rank))
    steps = dict.fromkeys([last_step, *(step for step in train.snapshots if step < last_step)])
    strengths = dict.fromkeys([sample.strength, *choose.strengths])
    return [Candidate(*values) for values in product(rates, steps, strengths)]


def arms_at(train: Train, rank: int, learning_rate: float) -> list[Arm]:
    """The arms of a rank that were trained with a learning rate, one per training seed, in their order."""
    return [arm for arm in arms_of(train, rank) if arm.learning_rate == learning_rate]


def curve_of(rank: int, arm: Arm) -> Curve:
    """The held-out losses of an arm by step. Raises LaureateError for a file that is missing or damaged."""
    path = curve_file(rank) if arm.main else adapter_folder(rank) / arm.place / ADAPTER_CURVE
    return read_curve(path)


def read_curve(path: Path) -> Curve:
    """The column holdout_loss of a curve's CSV by step. Raises LaureateError naming the file."""
    again = "run `laureate train` again"
    try:
        rows = [line.split(",") for line in read_text(path, again).splitlines()[1:]]
        curve = [(int(step), float(loss)) for step, _, loss in rows]
    except ValueError:
        curve = []
    if not curve:
        raise LaureateError(f"{path} is damaged; {again}")
    return curve


def loss_at(curve: Curve, step: int) -> float:
    """The held-out loss after `step` updates, linear between two measurements; NaN beyond the last."""
    before = max((row for row in curve if row[0] <= step), default=None)
    after = min((row for row in curve if row[0] >= step), default=None)
    if before is None or after is None:
        return math.nan
    if before[0] == after[0]:
        return before[1]
    share = (step - before[0]) / (after[0] - before[0])
    return before[1] + share * (after[1] - before[1])


def loss_of(curves: Mapping[float, Sequence[Curve]], candidate: Candidate) -> float:
    """The mean held-out loss of a candidate over training seeds; `curves`: learning rate => those of the
    seeds that have not failed. NaN without any."""
    values = [loss_at(curve, candidate.step) for curve in curves.get(candidate.learning_rate, ())]
    return sum(values) / len(values) if values else math.nan
