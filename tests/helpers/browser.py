"""Fixtures for tests in a browser: the system's Chromium, without a window, driven by playwright.

Without a browser the tests that use them are skipped, and the reason says what to install.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from benchmarks.app import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOCAL = ("127.0.0.1", "localhost", "::1", "", None)  # hosts on this machine, and addresses without a host
SERIOUS = ("serious", "critical")  # impacts of axe-core's findings


@pytest.fixture(scope="module")  # while it is open an event loop runs, which other tests do not expect
def browser() -> Iterator[Browser]:
    """A Chromium without a window. Skips the test where the system has none."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this system: install the package chromium to run tests in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # no sandbox: Chromium refuses to start as root with it, as in containers of CI
        yield (started := playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]))
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page(address, width=1280, height=800, dark=False)` => a playwright page, a visitor of its own.

    After the test: no script of any page may have failed, and no request may have gone to another machine.
    """
    contexts, errors, outside = [], [], []

    def watch(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "file", "about") and parts.hostname not in LOCAL:
            outside.append(url)

    def open_one(
        address: str | Path, width: int = 1280, height: int = 800, dark: bool = False, **options: Any
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: watch(request.url))
        page.on("websocket", lambda socket: watch(socket.url))
        page.goto(address.resolve().as_uri() if isinstance(address, Path) else address)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
    assert outside == []


def accessibility_findings(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on the page as it is now: "rule: element" each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{finding['id']}: {node['html'][:200]}"
        for finding in found
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]


def wider_than_window(page: Page) -> int:
    """By how many pixels the page is wider than its window, so that it must be scrolled sideways; 0: not."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") or 0
    )
