"""Run work in a thread of its own, and hand out its progress and results as they come; it can be stopped."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

INTERVAL = 0.25  # seconds between two reports of progress


class Stopped(Exception):
    """The person at the browser has stopped the work, or has left."""


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    text: str  # what is being done
    done: int
    total: int
    left: float | None = None  # seconds that remain, if that can be told


class Reporter:
    """What a job reports with. `step` may be called by any library that the job calls."""

    def __init__(self, stop: threading.Event, total: int) -> None:
        self._stop, self._total, self._done = stop, total, 0
        self._text, self._start, self._last = "", time.monotonic(), 0.0
        self.reports: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def say(self, text: str) -> None:
        """Name what is being done from now on. Raises Stopped if the job is to stop."""
        self._text = text
        self._report()

    def step(self) -> None:
        """One of the job's steps is done. Raises Stopped if the job is to stop."""
        if self._done == 0:
            self._first = time.monotonic()  # before it, models were loaded
        self._done += 1
        if time.monotonic() - self._last > INTERVAL:
            self._report()
        self._check()

    def give(self, result: Any) -> None:
        """Hand out a result."""
        self._check()
        self.reports.put(result)

    def _report(self) -> None:
        self._check()
        self._last = time.monotonic()
        left = None
        if self._done > 1:
            each = (self._last - self._first) / (self._done - 1)
            left = each * max(0, self._total - self._done)
        self.reports.put(Progress(self._text, min(self._done, self._total), self._total, left))

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped


@dataclass(frozen=True)
class Done:
    """The work is done."""

    text: str  # what is to be said in the end


@dataclass(frozen=True)
class _Failed:
    error: BaseException


def run(work: Callable[[Reporter], str], total: int, stop: threading.Event) -> Iterator[Any]:
    """Call `work(reporter)` in a thread => Progress and what it gives, as they come; Done with its result.

    `total`: how many steps it has. Raises what the work raises, and Stopped once `stop` is set. If the
    iterator is closed early, the work stops at its next step.
    """
    reporter = Reporter(stop, total)

    def body() -> None:
        try:
            reporter.reports.put(Done(work(reporter)))
        except BaseException as error:  # noqa: BLE001  # raised again where the iterator is read
            reporter.reports.put(_Failed(error))

    threading.Thread(target=body, daemon=True).start()
    try:
        while True:
            report = reporter.reports.get()
            if isinstance(report, _Failed):
                raise report.error
            yield report
            if isinstance(report, Done):
                return
    finally:
        stop.set()
