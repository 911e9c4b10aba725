"""Crawls of sites with faults: every fault is reported, nothing broken is written, the rest is read."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from sites_of_faults import (
    Fault,
    Faulty,
    body,
    crawled,
    drip,
    edited,
    few,
    first,
    image,
    key,
    page,
    picture_bytes,
    portrait_of,
    report_of,
    reset,
    short,
    silent,
    site,
    status,
    to,
)

from laureate.config.params import Coverage
from laureate.core.errors import LaureateError
from laureate.simulator.museum.collection import Laureate
from laureate.simulator.museum.pages import LIST_PATH
from laureate.simulator.museum.server import drawn

pytestmark = pytest.mark.usefixtures("warm_crawler")

STRICT = Coverage(pages=0.8, pictures=0.8, credits=0.7)


def soon(handler: Faulty) -> None:
    """Too many requests; come again at a date, a second from now."""
    handler.say(429, b"", Retry_After=formatdate(time.time() + 1, usegmt=True))


FAULTS: dict[str, Callable[[Laureate], tuple[str, Fault]]] = {
    "page 404": lambda p: (page(p), status(404)),
    "page 410": lambda p: (page(p), status(410)),
    "page 500 for ever": lambda p: (page(p), status(500)),
    "page empty": lambda p: (page(p), body(b"", "text/html")),
    "selector gone": lambda p: (page(p), edited(lambda t: t.replace("laureate-facts", "person-facts"))),
    "credit missing": lambda p: (page(p), edited(lambda t: t.replace("figcaption__attribution", "fig"))),
    "credit unknown": lambda p: (
        page(p),
        edited(lambda t: t.replace("Ill. ", "By ")),
    ),
    "another laureate": lambda p: (page(p), edited(lambda t: t.replace(f"laur-{p.id}", "laur-1"))),
    "leads to a file": lambda p: (page(p), to("file:///etc/passwd")),
    "leads to another host": lambda p: (page(p), to("http://localhost:9/prizes/")),
    "leads to a private address": lambda p: (page(p), to("http://10.0.0.1/prizes/")),
    "leads in a circle": lambda p: (page(p), to(page(p))),
    "image from a file": lambda p: (
        page(p),
        edited(lambda t: t.replace(f'="{image(p)}', '="file:///etc/passwd')),
    ),
    "image elsewhere": lambda p: (
        page(p),
        edited(lambda t: t.replace(image(p), "http://169.254.169.254/latest/")),
    ),
    "picture 404": lambda p: (image(p), status(404)),
    "picture is a page": lambda p: (image(p), body(b"<!doctype html><html>Sorry</html>", "text/html")),
    "picture cut": lambda p: (image(p), body(picture_bytes((300, 300))[:-200])),
    "picture empty": lambda p: (image(p), body(b"")),
    "picture short": lambda p: (image(p), short),
    "picture reset": lambda p: (image(p), reset),
    "picture silent": lambda p: (image(p), silent),
    "picture drips": lambda p: (image(p), drip),
    "picture too large": lambda p: (image(p), body(b"\0" * 2_000_000)),
    "picture a bomb": lambda p: (
        image(p),
        lambda h: h.say(
            200, gzip.compress(b"\0" * 8_000_000), Content_Encoding="gzip", Content_Type="image/jpeg"
        ),
    ),
    "picture huge": lambda p: (image(p), body(huge_png(), "image/png")),
    "passing 500": lambda p: (image(p), first(status(500))),
    "passing 429 with seconds": lambda p: (image(p), first(status(429, Retry_After="0"))),
    "passing 429 with a date": lambda p: (image(p), first(soon)),
    "passing 429 without a word": lambda p: (image(p), first(status(429))),
    "sound": lambda p: (image(p), lambda h: h.send(h.plain())),
}
PEOPLE = few(len(FAULTS))
REASONS = {
    "page 404": "HTTP status 404",
    "page 410": "HTTP status 410",
    "page 500 for ever": "HTTP status 500",
    "page empty": "no laureate id: nothing matches '.laureate-facts.laur-NNN'",
    "selector gone": "no laureate id: nothing matches '.laureate-facts.laur-NNN'",
    "credit missing": "no credit line: nothing matches '.laureate-facts .image .figcaption__attribution'",
    "another laureate": "the page is about laureate 1,",
    "leads to a file": "HTTP status 302",
    "leads to another host": "is on another host",
    "leads to a private address": "is on another host",
    "leads in a circle": "max redirections reached",
    "image from a file": "no portrait: nothing matches '.laureate-facts .image img'",
    "image elsewhere": "is on another host",
    "picture 404": "HTTP status 404",
    "picture is a page": "it is a web page",
    "picture cut": "it cannot be decoded",
    "picture empty": "it is empty",
    "picture short": "ResponseDataLoss",
    "picture reset": "Download",
    "picture silent": "Timeout",
    "picture drips": "Timeout",
    "picture too large": "Cancel",
    "picture a bomb": "exceeded",
    "picture huge": "it has 10000 x 10000 pixels",
}


def huge_png() -> bytes:
    """A PNG of 100 million pixels, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (10_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    data = zlib.compress(b"\0" * 1251 * 10_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[dict[str, Any]], dict[str, Any], dict[str, Laureate]]:
    """One crawl of a site where every person but the last few has a fault of their own."""
    victims = dict(zip(FAULTS, PEOPLE, strict=True))
    out = tmp_path_factory.mktemp("faulty") / "raw"
    with site(PEOPLE, dict(fault(victims[name]) for name, fault in FAULTS.items())) as (address, _):
        rows, report = crawled(address, out, megabytes=1.0, megapixels=20.0)
    return out, rows, report, victims


@pytest.mark.parametrize("name", REASONS)
def test_a_fault_is_reported_with_its_reason_and_place(faulty: Any, name: str) -> None:
    _, rows, report, victims = faulty
    person = victims[name]
    paths = (page(person), image(person), "169.254")
    told = [f["reason"] for f in report["faults"] if any(p in f["address"] + f["reason"] for p in paths)]
    assert any(REASONS[name] in reason for reason in told), told
    assert key(person) not in {f"{row['id']}-{row['year']}-{row['category']}" for row in rows}


@pytest.mark.parametrize("name", [name for name in FAULTS if "passing" in name or name == "sound"])
def test_what_passes_is_tried_again(faulty: Any, name: str) -> None:
    out, _, _, victims = faulty
    assert (out / f"{key(victims[name])}.jpg").read_bytes() == drawn(portrait_of(victims[name]))


def test_an_unknown_credit_is_quarantined(faulty: Any) -> None:
    _, rows, report, victims = faulty
    (row,) = (row for row in rows if row["id"] == victims["credit unknown"].id)
    assert (row["kind"], row["file"]) == ("unknown", None)
    assert [quarantined["id"] for quarantined in report["quarantined"]] == [row["id"]]


def test_nothing_of_a_fault_is_written(faulty: Any) -> None:
    out, rows, _, _ = faulty
    assert {path.name for path in out.iterdir()} == {row["file"] for row in rows if row["file"]} | {
        "portraits.jsonl"
    }
    assert len([row for row in rows if row["file"]]) == 5


def test_the_summary_lists_every_fault(faulty: Any) -> None:
    out, _, report, _ = faulty
    text = (out.parent / "crawl_report.md").read_text()
    assert all(fault["reason"] in text for fault in report["faults"])


def test_too_few_pages_understood_fails_naming_selector_and_page(tmp_path: Path) -> None:
    people = few(3)
    faults = {page(people[0]): edited(lambda text: text.replace('div class="image"', 'div class="picture"'))}
    with (
        site(people, faults) as (address, _),
        pytest.raises(LaureateError, match=r"66\.7% of the pages.*\.image img") as error,
    ):
        crawled(address, tmp_path / "raw", coverage=STRICT)
    assert page(people[0]) in str(error.value)
    assert not (tmp_path / "raw").exists()
    assert report_of(tmp_path / "raw")["failure"]


def test_a_failed_crawl_leaves_the_one_before_as_it_was(tmp_path: Path) -> None:
    people = few(2)
    faults: dict[str, Fault] = {}
    with site(people, faults) as (address, _):
        crawled(address, tmp_path / "raw")
        before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
        faults[image(people[0])] = faults[page(people[1])] = status(404)
        with pytest.raises(LaureateError, match="of the pages"):
            crawled(address, tmp_path / "raw", coverage=STRICT)
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before


def test_a_redesign_does_not_pass_as_an_empty_data_set(tmp_path: Path) -> None:
    faults: dict[str, Fault] = {"/2.1/laureates": body(b"{}", "application/json"), LIST_PATH: status(404)}
    with (
        site(few(2), faults) as (address, _),
        pytest.raises(LaureateError, match=r"no illustration at all.*laureates"),
    ):
        crawled(address, tmp_path / "raw")


def test_who_is_missing_from_the_api_is_found_by_the_list_page(tmp_path: Path) -> None:
    people = few(4)

    def unlink(text: str) -> str:
        answer = json.loads(text)
        answer["laureates"][1]["nobelPrizes"][0]["links"] = []
        del answer["laureates"][2]
        answer["meta"]["count"] = 3
        return json.dumps(answer)

    with site(people, {"/2.1/laureates": edited(unlink)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert {row["id"] for row in rows if row["file"]} == {person.id for person in people}
    assert {row["name"] for row in rows} == {person.name for person in people}
    assert sum("not linked by the API" in fault["reason"] for fault in report["faults"]) == 2


def test_a_wrong_count_and_a_next_that_loops_come_to_an_end(tmp_path: Path) -> None:
    always = Museumlike()
    with site(few(3), {"/2.1/laureates": always}) as (address, log):
        rows, report = crawled(address, tmp_path / "raw", page_size=3)
    assert len(rows) == 3
    assert len([line for line in log.asked if "/2.1/laureates" in line]) == 2
    assert any("meta.count" in fault["reason"] for fault in report["faults"])


class Museumlike:
    """An API that gives the same first page whatever the offset, and a count that is never reached."""

    def __call__(self, handler: Any) -> None:
        handler.path = "/2.1/laureates?offset=0&limit=3"
        answer = json.loads(handler.plain().body)
        answer["meta"]["count"] = 1000
        handler.say(200, json.dumps(answer).encode(), Content_Type="application/json")


def test_the_same_bytes_at_two_addresses_are_stored_once(tmp_path: Path) -> None:
    people = few(2)
    data = drawn(portrait_of(people[0]))
    with site(people, {image(people[1]): body(data)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert {row["file"] for row in rows} == {f"{key(people[0])}.jpg"}
    assert len(list((tmp_path / "raw").iterdir())) == 2
    assert report["pictures"] == 1
