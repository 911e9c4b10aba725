"""2,000 generated API responses, pages and pictures: each is read, reported or left out.

Each goes the way of a crawl, from the spider through the pipeline into the store, with no network between.
"""

import io
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scrapy import Request
from scrapy.http import HtmlResponse, Response, TextResponse

from crawler.items import Excluded, Fault, Portrait, Skipped
from crawler.options import Options
from crawler.pipelines import PictureCheck
from crawler.report import changes, coverage
from crawler.response_store import ResponseStore
from crawler.spider import LaureateSpider
from laureate.formats.portraits import read_manifest, with_shared_files
from laureate.stages.crawl import write_output

SITE = "http://127.0.0.1:8000"
ANSWERS, PAGES, PICTURES = 700, 700, 600  # 2,000 in all
quick = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


def picture() -> bytes:
    """A sound JPEG."""
    buffer = io.BytesIO()
    Image.effect_noise((24, 36), 90).save(buffer, "JPEG")
    return buffer.getvalue()


def laureate(identity: str, year: str) -> dict[str, Any]:
    """A laureate as the API tells it."""
    facts = {"rel": "external", "class": ["laureate facts"], "href": f"{SITE}/prizes/physics/{year}/a/facts/"}
    prize = {"awardYear": year, "category": {"en": "Physics", "se": "Fysik"}, "links": [facts]}
    return {
        "id": identity,
        "knownName": {"en": f"N{identity}"},
        "gender": "female",
        "birth": {"date": "1943-00-00"},
        "sameAs": ["a"],
        "nobelPrizes": [prize],
        "links": [],
    }


ANSWER = {"laureates": [laureate("1", "2001"), laureate("2", "2002")], "meta": {"count": 2}, "links": {}}
PAGE = f"""<html><head></head><body><section class="page-section laureate-facts laur-1"><h1>N1</h1>
<div class="image"><picture><img src="{SITE}/images/a.jpg" alt="N1"></picture>
<figcaption><p class="figcaption__attribution">Ill. Somebody</p></figcaption></div></section></body></html>"""
PICTURE = picture()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["2001", "\ud800", "../../x", "/etc/passwd", "physics", 10**30, SITE, "//", "http://["])
    | st.builds(lambda: "9" * 5000)
)
values = st.recursive(
    scalars,
    lambda i: st.lists(i, max_size=2) | st.dictionaries(st.text(max_size=5), i, max_size=2),
    max_leaves=4,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*above, key)
        yield from places(part, (*above, key))


def changed(edits: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """The answer with other values in some places."""
    answer = deepcopy(ANSWER)
    for path, value in edits:
        part: Any = answer
        for key in path[:-1]:
            try:
                part = part[key]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(part, dict) or (isinstance(part, list) and path[-1] in range(len(part))):
                part[path[-1]] = value
    return answer


edits = st.lists(st.tuples(st.sampled_from(list(places(ANSWER))), values), min_size=1, max_size=3)
answers = (edits.map(changed) | values).map(json.dumps) | st.text(max_size=30)

ODD = """
<img data-src="../../../x">|<base href="http://[">|</div>|<img srcset="a 1x, , b">|<![CDATA[|<!--|&#0;|
&#xD800;|laur-|<section class='laureate-facts laur-2'>|
<img src="file:///etc/passwd">|<noscript><img src='/y.jpg'>|<p class="figcaption__attribution">Photo: X
""".replace("\n", "").split("|")
PIECES = [*PAGE.replace(">", ">\n").split("\n"), *ODD]
pages = st.one_of(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=20).map("".join),
    st.tuples(st.integers(0, len(PAGE)), st.text(max_size=8), st.integers(0, 40)).map(
        lambda cut: PAGE[: cut[0]] + cut[1] + PAGE[cut[0] + cut[2] :]
    ),
)
flips = st.tuples(st.integers(0, len(PICTURE) - 1), st.binary(min_size=1, max_size=9))
pictures = st.one_of(
    st.binary(max_size=100),
    st.integers(0, len(PICTURE)).map(lambda end: PICTURE[:end]),
    flips.map(lambda flip: PICTURE[: flip[0]] + flip[1] + PICTURE[flip[0] + len(flip[1]) :]),
)


def crawl(root: Path, answer: str, page: str, body: bytes) -> list[dict[str, Any]]:
    """One crawl in which every page and every picture is the same; gives the rows of the manifest."""
    out = root / "data/raw"
    options = Options(SITE, f"{SITE}/2.1", str(root / "data/.raw-crawl"))
    (Path(options.state) / "index.jsonl").unlink(missing_ok=True)
    spider, kept = LaureateSpider(options), ResponseStore(options.state)
    check = PictureCheck(SimpleNamespace(settings={"LAUREATE": options}))  # type: ignore[arg-type]
    items: list[Any] = []

    def follow(found: Iterator[Any]) -> None:
        for item in found:
            if isinstance(item, Request):
                assert item.url.startswith(("http://", "https://"))
                follow(item.callback(response(item, answer, page, body), **item.cb_kwargs))  # type: ignore[misc]
            elif isinstance(item, Portrait):
                kept.put(item.image, item.body or b"", "", "", "", "c")
                items.append(check.process_item(item))
            else:
                assert isinstance(item, Fault | Skipped | Excluded)
                items.append(item)

    start = Request(f"{SITE}/list", meta={"about": "list"}, callback=spider.parse_list)
    follow(spider.parse_list(response(start, answer, page, body)))
    rows = with_shared_files([item for item in items if isinstance(item, dict)])
    faults = [item for item in items if isinstance(item, Fault)]
    write_output(rows, kept, out)
    assert read_manifest(out / "portraits.jsonl") == rows
    assert all(fault.reason for fault in faults)
    json.dumps([vars(fault) for fault in faults], ensure_ascii=False).encode()
    told = [{"about": fault.about} for fault in faults]
    assert all(
        0 <= share <= 1 for share in coverage({"rows": rows, "faults": told}, ["illustration"], 2).values()
    )
    assert changes(rows, rows)["appeared"] == []
    return rows


def response(request: Request, answer: str, page: str, body: bytes) -> Response:
    """What the site says."""
    about = request.meta["about"]
    if about == "api":
        return TextResponse(request.url, body=answer.encode("utf-8", "surrogatepass"), encoding="utf-8")
    if about == "picture":
        return Response(request.url, body=body)
    return HtmlResponse(request.url, body=page.encode("utf-8", "surrogatepass"), encoding="utf-8")


def inside(root: Path, rows: list[dict[str, Any]]) -> None:
    """Nothing lies outside the store and the kept answers, and the store holds what its manifest says."""
    assert {path.name for path in root.iterdir()} == {"data"}
    assert {path.name for path in (root / "data").iterdir()} == {"raw", ".raw-crawl"}
    named = {row["file"] for row in rows if row["file"]} | {"portraits.jsonl"}
    assert {
        path.relative_to(root / "data/raw").as_posix() for path in (root / "data/raw").rglob("*")
    } == named


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all of them; nobody pulls the plug, so nothing has to be on the disk at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield tmp_path_factory.mktemp("generated")


def test_the_sound_ones_are_found(root: Path) -> None:
    rows = crawl(root, json.dumps(ANSWER), PAGE, PICTURE)
    assert [(row["id"], row["kind"], row["file"]) for row in rows] == [
        ("1", "illustration", "1-2001-phy.jpg")
    ]
    inside(root, rows)


@settings(quick, max_examples=ANSWERS)
@given(answers)
def test_no_answer_of_an_api_breaks_a_crawl(root: Path, answer: str) -> None:
    inside(root, crawl(root, answer, PAGE, PICTURE))


@settings(quick, max_examples=PAGES)
@given(pages)
def test_no_facts_page_breaks_a_crawl(root: Path, page: str) -> None:
    inside(root, crawl(root, json.dumps(ANSWER), page, PICTURE))


@settings(quick, max_examples=PICTURES)
@given(pictures)
def test_no_bytes_of_a_picture_break_a_crawl(root: Path, body: bytes) -> None:
    inside(root, crawl(root, json.dumps(ANSWER), PAGE, body))
