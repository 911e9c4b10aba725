"""Loss curves of a training run, one per arm; losses are fetched from the device a few times only.

An arm whose loss is not finite has failed: it is named, its curve ends there, and the others go on. Where it
is the main arm of its rank, the run ends with an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.networks.lora.arm import Arm
from laureate.training.observer import Observer

if TYPE_CHECKING:
    from torch import Tensor

HEADER = "step,loss,holdout_loss"
ADVICE = "lower train.learning_rate or raise train.warmup"


class Curves:
    """Per arm, rows of [updates done, mean loss since the row before, held-out loss]."""

    def __init__(
        self, arms: Sequence[Arm], done: dict[str, Any] | None = None, observer: Observer | None = None
    ) -> None:
        """`done`: what `state` gave, to go on from there; `observer` is told what is fetched."""
        self.observer = observer or Observer()
        self.arms = list(arms)
        done = done or {}
        self.rows: list[list[list[float]]] = done.get("rows") or [[] for _ in self.arms]
        self.failed: dict[str, dict[str, Any]] = done.get("failed", {})  # key of an arm => step and reason
        self._pending: list[list[float]] = done.get("pending", [])  # one list per step
        self._unfetched: list[tuple[int, Tensor]] = []

    def add(self, step: int, losses: Tensor) -> None:
        """Note the losses (R,) of batch number `step` (from 0) without waiting for the device."""
        self._unfetched.append((step, losses))

    def fetch(self) -> None:
        """Fetch the losses noted so far. Raises LaureateError naming step and rank if one of a main arm is
        not
        finite."""
        if not self._unfetched:
            return
        import torch

        fetched = torch.stack([losses for _, losses in self._unfetched]).tolist()  # one wait for all of them
        for (step, _), losses in zip(self._unfetched, fetched, strict=True):
            values = self._finite(losses, "loss", step + 1)
            self._pending.append([0.0 if math.isnan(value) else value for value in values])
            self.observer.losses(step + 1, values)
        self._unfetched.clear()

    def close_row(self, updates: int, holdout_losses: Tensor) -> None:
        """Add a row to the curve of every arm that has not failed: the mean loss since the last row, and the
        held-out loss (R,)."""
        self.fetch()
        held = self._finite(holdout_losses.tolist(), "held-out loss", updates)
        self.observer.holdout_losses(updates, held)
        for index, (arm, rows) in enumerate(zip(self.arms, self.rows, strict=True)):
            if arm.key in self.failed:
                continue
            losses = [step[index] for step in self._pending] or [rows[-1][1]]  # the last batch closed a row
            rows.append([updates, sum(losses) / len(losses), held[index]])
        self._pending = []

    def state(self) -> dict[str, Any]:
        """All losses so far, for a checkpoint."""
        self.fetch()
        failed = {"failed": self.failed} if self.failed else {}
        return {"rows": self.rows, "pending": self._pending, **failed}

    def csv(self, index: int) -> str:
        """The rows of one arm; where it failed, a last one with the step and no losses."""
        lines = [f"{step},{loss:.6f},{holdout:.6f}" for step, loss, holdout in self.rows[index]]
        failed = self.failed.get(self.arms[index].key)
        return "\n".join([HEADER, *lines, *([f"{failed['step']},nan,nan"] if failed else [])]) + "\n"

    def _finite(self, values: list[float], name: str, step: int) -> list[float]:
        """The values, NaN for arms that have failed by this step."""
        for arm, value in zip(self.arms, values, strict=True):
            if math.isfinite(value) or arm.key in self.failed:
                continue
            reason = f"the {name} is {value} at step {step}"
            if arm.main:
                raise LaureateError(f"{arm.title}: {reason}; {ADVICE}")
            self.failed[arm.key] = {"step": step, "reason": reason}
            self.observer.failed(f"{arm.title} has failed: {reason}")
        pairs = zip(self.arms, values, strict=True)
        return [math.nan if arm.key in self.failed else value for arm, value in pairs]
