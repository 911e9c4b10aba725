"""What all tabs share: parameters, the generators that draw, what is held for each browser."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from laureate.app import fragments
from laureate.app.jobs import Done, Progress, Reporter, Stopped, run
from laureate.app.sessions import Made, Session, Sessions
from laureate.config.params import Params
from laureate.core import failures
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes
from laureate.img2img.generator import PortraitGenerator
from laureate.sampling.generator import Generator

STOPPED = "Stopped."


@dataclass
class Resources:
    """Of one app. `keep`: the folder where photos and what is made of them stay; None: nothing is kept."""

    params: Params
    generator: Generator
    portraits: PortraitGenerator
    keep: Path | None = None
    sessions: Sessions = field(default_factory=Sessions)
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _warm: bool = False

    def warm_up(self) -> None:
        """Load what the first picture and the first caption need, once; who comes meanwhile waits for it.

        Libraries that two threads import at once would find each other half loaded.
        """
        with self._loading:
            if self._warm:
                return
            self._warm = True
            for loader in (self.generator.warm_up, self.portraits.warm_up):
                try:
                    loader()
                except LaureateError:
                    pass  # it is said to whom it concerns, when a picture is asked for
                except Exception as error:  # noqa: BLE001  # said here: nobody waits for this thread
                    failures.report(error, "app", ["app"])

    def add(self, session: Session, made: Made) -> Made:
        """Hold a picture for a browser, and write it into the folder of `keep` if there is one."""
        if self.keep is not None:
            write_bytes(self.keep / made.name, made.png)
        return self.sessions.add(session, made)

    def keep_photo(self, photo: bytes) -> None:
        """Keep a photo if that was asked for."""
        if self.keep is not None:
            write_bytes(self.keep / f"photo-{hashlib.sha256(photo).hexdigest()[:12]}", photo)

    def updates(
        self, session: Session, work: Callable[[Reporter], str], total: int
    ) -> Iterator[tuple[str, Any]]:
        """Run a job for a browser => (status as HTML, what the job has given since, or None), as they come.

        The last status is the text that the work returns, or a sentence on what went wrong.
        """

        def begin(reporter: Reporter) -> str:
            if not self._warm or self._loading.locked():
                reporter.say("Loading the models")
                self.warm_up()
            return work(reporter)

        with session.job() as stop:
            try:
                for report in run(begin, total, stop):
                    if isinstance(report, Progress):
                        yield fragments.status(report), None
                    elif isinstance(report, Done):
                        yield fragments.note(report.text), None
                    else:
                        yield "", report
            except Stopped:
                yield fragments.note(STOPPED), None
            except Exception as error:  # noqa: BLE001  # the one door for errors of the app
                yield fragments.problem(sentence(error)), None


def safely(updates: Iterator[tuple[Any, ...]], outputs: int) -> Iterator[tuple[Any, ...]]:
    """What a tab yields for its `outputs`; an error becomes a sentence in the first, the status."""
    try:
        yield from updates
    except Exception as error:  # noqa: BLE001  # the one door for errors of the app's forms
        yield fragments.problem(sentence(error)), *[gr.skip()] * (outputs - 1)


def sentence(error: Exception) -> str:
    """What an error means, as the commands say it; an unexpected one is logged, without any picture."""
    text = failures.known(error, "app")
    if text is not None:
        return text
    failures.report(error, "app", ["app"])
    return "An unexpected error, a fault of laureate: the terminal where the app runs says more."
