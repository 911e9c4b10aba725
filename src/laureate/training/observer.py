"""What a training run tells while it runs: losses as they are fetched, and every step. Changes no result."""

from __future__ import annotations

from collections.abc import Sequence


class Observer:
    """Hears of a run and does nothing; `trackers` and `preview` do something."""

    def losses(self, step: int, values: Sequence[float]) -> None:
        """Training loss of every rank in step number `step`, from 1; some steps late, in order."""

    def holdout_losses(self, step: int, values: Sequence[float]) -> None:
        """Held-out loss of every rank after `step` updates."""

    def after_step(self, step: int) -> None:
        """Step number `step` is done, from 1."""

    def close(self) -> None:
        """The run has ended, well or not."""


class Several(Observer):
    """Tells each of several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = list(observers)

    def losses(self, step: int, values: Sequence[float]) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.losses(step, values)

    def holdout_losses(self, step: int, values: Sequence[float]) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.holdout_losses(step, values)

    def after_step(self, step: int) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.after_step(step)

    def close(self) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.close()
