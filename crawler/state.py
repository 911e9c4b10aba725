"""The state folder of a crawl: lock, name of an interrupted crawl, left-over files."""

import fcntl
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from laureate.core.errors import LaureateError
from laureate.core.files import write_text

RESULT = "result.json"  # what the crawling process leaves behind
UNFINISHED = "unfinished"  # holds name and site of a crawl that has not finished


@contextmanager
def locked(state: Path) -> Iterator[IO[str]]:
    """Create the state folder and hold its lock; waits up to 10 s for a crawl that is about to end.

    Raises LaureateError when another crawl holds the lock.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        for _ in range(100):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            raise LaureateError(f"another crawl uses {state}: wait for it to end")
        yield lock


def begin(state: Path, site: str) -> str:
    """The name of the crawl: that of an interrupted crawl of this site, which is resumed, else a new one."""
    mark = state / UNFINISHED
    if mark.exists():
        name, _, before = mark.read_text(encoding="utf-8").partition(" ")
        if before == site:
            return name
    name = secrets.token_hex(8)
    write_text(mark, f"{name} {site}")
    return name


def finish(state: Path) -> None:
    """Note that the crawl has finished, so that the next one starts anew."""
    (state / UNFINISHED).unlink(missing_ok=True)


def remove_parts(state: Path, out: Path) -> None:
    """Remove the unfinished files of a crawl that was killed."""
    for part in [*out.parent.glob(f".{out.name}.*.part"), *state.glob(".*.part")]:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
