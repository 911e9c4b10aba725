"""Run one crawl in a process of its own, and read its result.

Scrapy's reactor cannot be started twice in one process. The process ends when its standard input closes, so
it never outlives the one that started it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from crawler.options import Options
from crawler.state import RESULT
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    import crawler.__main__  # noqa: F401  # started as a process: its code makes the result

Watch = Callable[[Iterator[Any], int], Iterable[Any]]  # (events, their number) => the same events


def crawl(options: Options, name: str, lock: IO[str], watch: Watch) -> int:
    """Run the crawling process and wait for its end; the number of facts pages that it asked for.

    `name` identifies the crawl in the response store, the process inherits `lock`, and `watch` is given one
    event per facts page. Raises LaureateError with the last line of its errors when the process fails.
    """
    errors = Path(options.state) / "errors.txt"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "crawler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=(lock.fileno(),),  # nobody else may crawl here for as long as this process lives
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asked = 0
        with suppress(BrokenPipeError), process.stdin as stdin:  # when this closes, the process ends
            stdin.write(f"{options.to_json()}\n{name}\n")
            stdin.flush()
            events = (json.loads(line) for line in process.stdout)
            asked = next((event["total"] for event in events if event["event"] == "pages"), 0)
            for _ in watch((event for event in events if event["event"] == "page"), asked):
                pass
            process.wait()
    if process.returncode:
        lines = errors.read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else f"see {options.state}/crawl.log"
        raise LaureateError(f"the crawling process ended with status {process.returncode}: {last}")
    return int(asked)


def remove_result(state: Path) -> None:
    """Remove the result of an earlier crawl."""
    (state / RESULT).unlink(missing_ok=True)


def read_result(state: Path) -> dict[str, Any]:
    """The result of a finished crawl. Raises LaureateError with the reason when it did not finish."""
    try:
        result: dict[str, Any] = json.loads((state / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaureateError(f"the crawl left no result: see {state}/crawl.log") from None
    if result["robots"]:
        raise LaureateError(
            f"robots.txt could not be read ({result['robots']}), so nothing may be fetched: try again later"
        )
    if result["reason"] != "finished":
        raise LaureateError(f"the crawl stopped early: {result['reason']}; run it again to go on")
    return result
