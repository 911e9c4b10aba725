"""Loss curves of a training run, one per rank; losses are fetched from the device a few times only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.training.observer import Observer

if TYPE_CHECKING:
    from torch import Tensor

HEADER = "step,loss,holdout_loss"


class Curves:
    """Per rank, rows of [updates done, mean loss since the row before, held-out loss]."""

    def __init__(
        self, ranks: Sequence[int], done: dict[str, Any] | None = None, observer: Observer | None = None
    ) -> None:
        """`done`: what `state` gave, to go on from there; `observer` is told what is fetched."""
        self.observer = observer or Observer()
        self.ranks = list(ranks)
        self.rows: list[list[list[float]]] = done["rows"] if done else [[] for _ in self.ranks]
        self._pending: list[list[float]] = done["pending"] if done else []  # one list per step
        self._unfetched: list[tuple[int, Tensor]] = []

    def add(self, step: int, losses: Tensor) -> None:
        """Note the losses (R,) of batch number `step` (from 0) without waiting for the device."""
        self._unfetched.append((step, losses))

    def fetch(self) -> None:
        """Fetch the losses noted so far. Raises LaureateError naming step and rank if one is not finite."""
        if not self._unfetched:
            return
        import torch

        fetched = torch.stack([losses for _, losses in self._unfetched]).tolist()  # one wait for all of them
        for (step, _), losses in zip(self._unfetched, fetched, strict=True):
            self._pending.append(self._finite(losses, "loss", step + 1))
            self.observer.losses(step + 1, losses)
        self._unfetched.clear()

    def close_row(self, updates: int, holdout_losses: Tensor) -> None:
        """Add a row to every curve: the mean loss since the last row, and the held-out loss (R,)."""
        self.fetch()
        held = self._finite(holdout_losses.tolist(), "held-out loss", updates)
        self.observer.holdout_losses(updates, held)
        for index, rows in enumerate(self.rows):
            losses = [step[index] for step in self._pending] or [rows[-1][1]]  # the last batch closed a row
            rows.append([updates, sum(losses) / len(losses), held[index]])
        self._pending = []

    def state(self) -> dict[str, Any]:
        """All losses so far, for a checkpoint."""
        self.fetch()
        return {"rows": self.rows, "pending": self._pending}

    def csv(self, index: int) -> str:
        """The rows of one rank."""
        lines = [f"{step},{loss:.6f},{holdout:.6f}" for step, loss, holdout in self.rows[index]]
        return "\n".join([HEADER, *lines]) + "\n"

    def _finite(self, values: list[float], name: str, step: int) -> list[float]:
        for rank, value in zip(self.ranks, values, strict=True):
            if not math.isfinite(value):
                raise LaureateError(
                    f"rank {rank}: the {name} is {value} at step {step}; "
                    "lower train.learning_rate or raise train.warmup"
                )
        return values
