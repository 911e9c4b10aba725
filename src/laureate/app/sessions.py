"""What the app holds for each browser: pictures in memory, a photo, uploaded files, jobs that may be stopped.

A browser that leaves takes all of it along: pictures are dropped, uploaded files deleted, jobs stopped.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal

MOST = 200  # pictures of one browser; the oldest are dropped

Kind = Literal["drawing", "portrait", "poster", "start"]


@dataclass(frozen=True)
class Made:
    """A picture that the app has made for one browser."""

    kind: Kind
    png: bytes
    name: str  # of the file that a download gives
    title: str  # what it is, in a few words: the model, the strength
    detail: str  # how it was made, in a line
    alt: str  # what it shows
    key: str = field(default_factory=lambda: token_urlsafe(16))  # in its address; cannot be guessed

    @property
    def address(self) -> str:
        """Where the server gives it, from the root of the site."""
        return f"/made/{self.key}.png"


@dataclass
class Session:
    """One browser."""

    made: OrderedDict[str, Made] = field(default_factory=OrderedDict)
    photo: bytes | None = None
    uploads: set[Path] = field(default_factory=set)
    jobs: set[threading.Event] = field(default_factory=set)

    def of_kind(self, kind: Kind) -> list[Made]:
        """Its pictures of a kind, the newest first."""
        return [made for made in reversed(self.made.values()) if made.kind == kind]

    def stop(self) -> None:
        """Stop what is being made for it, at the next step."""
        for job in list(self.jobs):
            job.set()

    @contextmanager
    def job(self) -> Iterator[threading.Event]:
        """An event that is set when the job in the block is to stop."""
        event = threading.Event()
        self.jobs.add(event)
        try:
            yield event
        finally:
            event.set()
            self.jobs.discard(event)


class Sessions:
    """All browsers, by Gradio's name of their session."""

    def __init__(self) -> None:
        self._all: dict[str, Session] = {}
        self._lock = threading.Lock()

    def of(self, name: str | None) -> Session:
        """The session of a browser; a new one where it is not known."""
        with self._lock:
            return self._all.setdefault(name or "", Session())

    def add(self, session: Session, made: Made) -> Made:
        """Keep a picture for a browser, and give it back."""
        with self._lock:
            session.made[made.key] = made
            while len(session.made) > MOST:
                session.made.popitem(last=False)
        return made

    def find(self, key: str) -> Made | None:
        """The picture with a key, whose ever it is; None where it is not there any more."""
        with self._lock:
            return next((s.made[key] for s in self._all.values() if key in s.made), None)

    def leave(self, name: str | None) -> None:
        """Forget a browser: its pictures, its photo, its files, its jobs."""
        with self._lock:
            session = self._all.pop(name or "", None)
        if session is not None:
            session.stop()
            session.photo = None
            for path in list(session.uploads):
                self.forget(session, path)

    def forget(self, session: Session, path: Path) -> None:
        """Delete an uploaded file of a browser, unless another browser has uploaded the same."""
        session.uploads.discard(path)
        with self._lock:
            shared = any(path in other.uploads for other in self._all.values())
        if not shared:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()  # named after the file's content
