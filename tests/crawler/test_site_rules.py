"""What a site asks is kept: crawl delays, robots.txt in any encoding, directives against our use."""

import gzip
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego
from sites_of_faults import ANYTHING, body, crawled, edited, fails, few, image, page, picture_bytes, site

from crawler import site_rules

pytestmark = pytest.mark.usefixtures("warm_crawler")

RULES = "User-agent: *\nDisallow: /images/\n"


@pytest.mark.parametrize(
    "data",
    [
        RULES.encode(),
        b"\xef\xbb\xbf" + RULES.encode(),
        RULES.encode("utf-16"),
        b"\xfe\xff" + RULES.encode("utf-16-be"),
        gzip.compress(RULES.encode()),
        gzip.compress(RULES.encode("utf-16")),
        RULES.replace("\n", "\r\n").encode(),
        ("# défense d’entrer\n" + RULES).encode("latin-1", "replace"),
    ],
    ids=["utf-8", "bom", "utf-16", "utf-16 be", "gzip", "gzip of utf-16", "crlf", "latin-1"],
)
def test_robots_txt_is_read_in_any_encoding(data: bytes) -> None:
    rules = Protego.parse(site_rules.robots_text(data).decode("utf-8", "replace"))
    assert not rules.can_fetch("https://a.example/images/1.jpg", "laureate")
    assert rules.can_fetch("https://a.example/prizes/", "laureate")


@pytest.mark.parametrize(
    "data",
    [
        RULES.encode("utf-16-le"),
        gzip.compress(RULES.encode())[:-12],
        b"\x1f\x8b broken",
        b"<!DOCTYPE html><html>not found</html>",
        picture_bytes(),
        b"\xff\xfe\x00\xd8",
    ],
    ids=["utf-16 without bom", "cut gzip", "no gzip", "page", "picture", "half a pair"],
)
def test_what_is_no_robots_txt_closes_the_site(tmp_path: Path, data: bytes) -> None:
    with site(few(1), {"/robots.txt": body(data, "text/plain")}) as (address, log):
        fails(r"robots\.txt could not be read", address, tmp_path)
    assert set(log.asked) == {"GET /robots.txt"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("User-agent: *\nCrawl-delay: 2,5", 2.5),
        ("User-agent: *\nCrawl-delay: 2s\n", 2),
        ("User-agent: *\rCrawl-delay: 2 Seconds # please\r", 2),
        ("User-agent: *\r\ncrawl-delay : 1 min\r\n", 60),
        ("User-agent: *\nCrawl-delay: 500ms", 0.5),
        ("User-agent: laureate\nCrawl-delay: 7\n\nUser-agent: *\nCrawl-delay: 1", 7),
        ("User-agent: *\nUser-agent: laureate\nCrawl-delay: 5", 5),
        ("# ours\n\nCrawl-delay: 4\nUser-agent: *\nDisallow:", 4),
        ("User-agent: *\nRequest-rate: 1/1m", 60),
        ("User-agent: googlebot\nCrawl-delay: 4", 0),
        ("User-agent: *\nCrawl-delay: -3", 0),
        ("User-agent: *\nCrawl-delay: 2 apples", 0),
        ("User-agent: *\nCrawl-delay: inf", 0),
    ],
)
def test_a_delay_is_read_as_people_write_it(text: str, seconds: float) -> None:
    rules = Protego.parse(site_rules.robots_text(text.encode()).decode())
    assert site_rules.delay_of(rules) == seconds


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_robots_txt(data: bytes) -> None:
    for given_bytes in (data, gzip.compress(data), b"\xff\xfe" + data):
        with suppress(ValueError):
            assert isinstance(site_rules.robots_text(given_bytes), bytes)


@pytest.mark.parametrize(
    "rule", ["Crawl-delay: 0.4", "Request-rate: 5/2", "Crawl-delay: 0.4\nCrawl-delay: x"]
)
def test_the_delay_of_robots_txt_is_kept(tmp_path: Path, rule: str) -> None:
    times: list[float] = []

    def note(handler: Any) -> None:
        times.append(time.monotonic())
        handler.send(handler.plain())

    people = few(2)
    robots = body(f"User-agent: *\n{rule}\n".encode(), "text/plain")
    paths = [page(person) for person in people] + [image(person) for person in people]
    with site(people, {"/robots.txt": robots, **dict.fromkeys(paths, note)}) as (address, _):
        crawled(address, tmp_path / "raw")
    assert len(times) == 4
    assert min(b - a for a, b in pairwise(times)) >= 0.39


def test_the_own_delay_is_kept_where_it_is_larger(tmp_path: Path) -> None:
    robots = body(b"User-agent: *\nCrawl-delay: 0.01\n", "text/plain")
    begun = time.monotonic()
    with site(few(1), {"/robots.txt": robots}) as (address, log):
        crawled(address, tmp_path / "raw", delay=0.3)
    assert time.monotonic() - begun > 0.3 * (len(log.asked) - 1) * 0.9


def test_a_delay_longer_than_anybody_waits_closes_the_site(tmp_path: Path) -> None:
    robots = body(b"User-agent: *\nCrawl-delay: 86400\n", "text/plain")
    with site(few(1), {"/robots.txt": robots}) as (address, log):
        fails(r"86400 s between requests, and crawl\.longest_wait", address, tmp_path)
    assert set(log.asked) == {"GET /robots.txt"}


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        (["noai"], True),
        (["all, NoImageAI"], True),
        (["laureate: noai"], True),
        (["googlebot: noindex", "laureate: none"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noindex"], True),
        (["googlebot: noai"], False),
        (["googlebot: noindex, noai"], False),
        (["max-image-preview: none"], False),
        (["all"], False),
        ([], False),
    ],
)
def test_directives_are_read_as_they_are_meant(values: list[str], refused: bool) -> None:
    assert (site_rules.refusal(values) is not None) == refused


@pytest.mark.parametrize("header", [{"X_Robots_Tag": "noai, noimageai"}, {"TDM_Reservation": "1"}])
@pytest.mark.parametrize("what", ["page", "picture"])
def test_a_header_against_our_use_leaves_the_portrait_out(
    tmp_path: Path, header: dict[str, str], what: str
) -> None:
    first, second = few(2)

    def refuse(handler: Any) -> None:
        answer = handler.plain()
        handler.say(200, answer.body, Content_Type=answer.headers["Content-Type"], **header)

    path = page(first) if what == "page" else image(first)
    with site([first, second], {path: refuse}) as (address, log):
        for _ in range(2):  # what is refused is refused again, whatever was stored
            rows, report = crawled(address, tmp_path / "raw")
            assert [row["id"] for row in rows] == [second.id]
            assert [s["reason"] for s in report["skipped"] if "does not allow" in s["reason"]]
            assert report["coverage"]["pictures"] == 1.0
    assert (f"GET {image(first)}" in log.asked) == (what == "picture")


def test_a_page_with_a_robots_element_against_our_use_is_left_out(tmp_path: Path) -> None:
    first, second = few(2)
    meta = '<head><meta name="Robots" content="index, noimageai">'
    with site([first, second], {page(first): edited(lambda text: text.replace("<head>", meta))}) as (at, log):
        rows, report = crawled(at, tmp_path / "raw", coverage=ANYTHING)
    assert [row["id"] for row in rows] == [second.id]
    assert any("noimageai" in skipped["reason"] for skipped in report["skipped"])
    assert f"GET {image(first)}" not in log.asked
