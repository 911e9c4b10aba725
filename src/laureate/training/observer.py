"""What a training run tells while it runs: losses as they are fetched, and every step. Changes no result."""

from __future__ import annotations

import sys
from collections.abc import Sequence


class Observer:
    """Hears of a run and does nothing; `trackers` and `preview` do something."""

    def losses(self, step: int, values: Sequence[float]) -> None:
        """Training loss of every arm in step number `step`, from 1; some steps late, in order. NaN from the
        step on in which an arm failed."""

    def holdout_losses(self, step: int, values: Sequence[float]) -> None:
        """Held-out loss of every arm after `step` updates; NaN for an arm that has failed."""

    def failed(self, sentence: str) -> None:
        """An arm has failed, and the others go on: which, when and why."""

    def after_step(self, step: int) -> None:
        """Step number `step` is done, from 1."""

    def close(self) -> None:
        """The run has ended, well or not."""


class Announcer(Observer):
    """Says on standard error which arms have failed."""

    def failed(self, sentence: str) -> None:
        """See `Observer`."""
        print(f"\n{sentence}; the others go on", file=sys.stderr)


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

    def failed(self, sentence: str) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.failed(sentence)

    def after_step(self, step: int) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.after_step(step)

    def close(self) -> None:
        """See `Observer`."""
        for observer in self.observers:
            observer.close()
