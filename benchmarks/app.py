"""app: how soon `laureate app` answers, and how soon a person has the first picture in a browser.

Run it in the folder of a finished study. Every round starts the command anew and opens its page in the
system's Chromium; *Draw* is pressed as soon as the page is laid out, while the models may still be loading.
There is no peer.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONGEST = 120.0  # seconds for an answer or a picture
COLUMNS = {"what": "what", "seconds": "median s", "seconds_low": "from", "seconds_high": "to"}
ANSWER, PAGE, FIRST, SECOND = (
    "start of the command until the page answers",
    "the page in the browser until it is laid out",
    "first click on Draw until the first picture",
    "second click until the first picture",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--port."""
    harness.add_common(parser, repeats=3)
    parser.add_argument("--port", type=int, default=7859)


def run(options: argparse.Namespace) -> None:
    """One row per wait. Raises LaureateError without a browser, and where the app does not answer."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise LaureateError("there is no Chromium or Chrome on this machine; install the package chromium")
    waits: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(options.repeats):
            for what, seconds in one_round(browser, options.port).items():
                waits.setdefault(what, []).append(seconds)
        browser.close()
    rows = [{"what": what, **harness.spread(taken, "seconds")} for what, taken in waits.items()]
    harness.report("app", options, rows, COLUMNS)


def chromium() -> str | None:
    """The path of the system's Chromium or Chrome; None without one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def one_round(browser: Browser, port: int) -> dict[str, float]:
    """What a person waits for, in seconds."""
    waits: dict[str, float] = {}
    with started(port, waits) as address:
        page = browser.new_page()
        page.set_default_timeout(1000 * LONGEST)
        with measured(waits, PAGE):
            page.goto(address)
            page.wait_for_selector("#try-draw")
        for click in (FIRST, SECOND):
            with measured(waits, click):
                page.click("#try-draw")
                page.wait_for_selector("#try-pictures img")
            # the status ends with the last of the pictures, and the next click takes them away
            page.wait_for_selector("#try-status:has-text('Done')")
            page.get_by_role("button", name="Another seed").click()
            page.evaluate("document.querySelectorAll('#try-pictures img').forEach(each => each.remove())")
        page.close()
    return waits


@contextmanager
def started(port: int, waits: dict[str, float]) -> Iterator[str]:
    """The address of a running app. Raises LaureateError with what it printed if it ends."""
    address = f"http://127.0.0.1:{port}/"
    words: Any = [sys.executable, "-m", "laureate", "app", "--port", str(port)]
    with measured(waits, ANSWER):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + LONGEST
        while not answers(address):
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise LaureateError(f"laureate app does not answer: {process.communicate()[0].strip()}")
            time.sleep(0.02)
    try:
        yield address
    finally:
        process.terminate()
        process.communicate()


def answers(address: str) -> bool:
    """Whether a page is there."""
    try:
        with urllib.request.urlopen(address, timeout=LONGEST) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def measured(waits: dict[str, float], what: str) -> Iterator[None]:
    """Note how long the block takes."""
    begun = time.perf_counter()
    yield
    waits[what] = time.perf_counter() - begun
