"""2,000 answers that nobody foresaw, through spider and pipeline: no exception, nothing written elsewhere."""

import copy
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response, TextResponse
from sites_of_faults import few

from crawler.items import Fault, Portrait, Skipped
from crawler.kept import Kept
from crawler.middlewares import Hosts
from crawler.options import Options, place
from crawler.pages import LaureateEntry, PrizeEntry
from crawler.pipelines import Check, Collect
from crawler.spider import LaureateSpider
from laureate.atelier.museum import Museum
from laureate.crawled import as_lines, manifest
from laureate.files import fresh_folder, write_bytes, write_text

SITE = "http://127.0.0.1:8000"
PRIZE = PrizeEntry(1975, "phy", f"{SITE}/prizes/physics/1975/bohr/facts/")
MUSEUM = Museum(few(2))
API = json.loads(MUSEUM("/2.1/laureates", "127.0.0.1:8000").body)
PAGE = next(iter(MUSEUM.facts.values()))
written: list[str] = []
watching = False


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every path that is opened to be written, made, moved or linked."""
    if not watching:
        return
    if event == "open" and isinstance(arguments[0], str) and set(str(arguments[1] or "")) & set("wax+"):
        written.append(arguments[0])
    elif event in ("os.remove", "os.rmdir") and arguments[1] == -1:  # else inside a folder that was opened
        written.append(str(arguments[0]))
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        written.extend(str(argument) for argument in arguments[:2] if isinstance(argument, str | os.PathLike))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The only folder that may be written to; whatever is written meanwhile is noted."""
    global watching
    sys.addaudithook(watch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # nobody pulls the plug here
        yield tmp_path_factory.mktemp("store")
    watching = False


class Watched:
    """A block in which every write must be inside a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        global watching
        written.clear()
        watching = True

    def __exit__(self, *_: object) -> None:
        global watching
        watching = False
        outside = [path for path in written if not Path(path).resolve().is_relative_to(self.folder)]
        assert outside == []


def crawl_of(store: Path) -> tuple[LaureateSpider, Check, Collect, Hosts]:
    """Spider, pipelines and the guard of hosts, as a crawl has them."""
    options = Options(SITE, f"{SITE}/2.1", str(store / "state"), kinds=("illustration", "unknown"))
    crawler: Any = SimpleNamespace(
        settings={"LAUREATE": options},
        signals=SimpleNamespace(connect=lambda *_, **__: None),
        stats=SimpleNamespace(get_stats=lambda: {}),
    )
    return LaureateSpider(options), Check(crawler), Collect(crawler), Hosts(crawler)


def taken_in(store: Path, crawl: tuple[LaureateSpider, Check, Collect, Hosts], came: Any) -> list[Any]:
    """Everything a callback yields, checked: requests stay within the site, items become rows and faults."""
    _, check, collect, hosts = crawl
    came = list(came)
    for thing in came:
        if isinstance(thing, Request):
            try:
                hosts.process_request(thing)
            except IgnoreRequest:
                continue
            assert place(thing.url) == "127.0.0.1:8000"
        else:
            assert isinstance(thing, Fault | Skipped | Portrait)
            collect.process_item(check.process_item(thing))
    collect.write("finished")
    return came


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("../../../etc"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """The museum's answer with some values replaced or taken away, or its text damaged."""
    answer = copy.deepcopy(API)
    for _ in range(draw(st.integers(0, 4))):
        here: Any = answer
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(here[key], dict | list) or not here[key] or draw(st.integers(0, 4)) == 0:
                if draw(st.booleans()):
                    here[key] = draw(values)
                else:
                    del here[key]
                break
            here = here[key]
    return draw(damaged(json.dumps(answer).encode()))


@st.composite
def damaged(draw: st.DrawFn, data: bytes, often: int = 3) -> bytes:
    """Bytes, cut, doubled, or with others in between; one time in `often`."""
    if draw(st.integers(1, often)) < often:
        return data
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        data = data[:start] + draw(st.binary(max_size=12) | st.just(data[start:end] * 2)) + data[end:]
    return data


PIECES = """<section class="laureate-facts laur-1">|</section>|<div class="image">|</div>|<noscript>|
</noscript>|<img src="|<img data-src="|" srcset="|">|<h1>|<p class="figcaption__attribution">|<base href="|
<![CDATA[|<!--|
&#0;|&#xFFFFFFFF;|http://[::1|//|%zz|, 2x|
laur-../../x|file:///etc/passwd|../../../|\x00|Ill. N.|
http://10.0.0.1/
""".replace("\n", "").split("|")


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    """The museum's page with pieces of markup in between, or nothing but pieces."""
    text = draw(st.sampled_from([PAGE, ""]))
    for piece in draw(st.lists(st.sampled_from(PIECES) | st.text(max_size=9), max_size=12)):
        at = draw(st.integers(0, len(text))) if text.startswith("<!") else len(text)
        text = text[:at] + piece + text[at:]
    return draw(damaged(text.encode("utf-8", "replace")))


def small(form: str, mode: str) -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.new(mode, (9, 7)).save(buffer, form)
    return buffer.getvalue()


PICTURES = [
    small(form, mode)
    for form, mode in (("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "I;16"), ("GIF", "P"))
] + [small("WEBP", "RGB"), small("TIFF", "RGB"), b"", b"<!doctype html>"]

# what the 2,000 are: 700 answers of the API, 700 facts pages, 600 pictures
often = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=700, **often)
@given(answers())
def test_700_answers_of_the_api(store: Path, answer: bytes) -> None:
    crawl = crawl_of(store)
    response = TextResponse(f"{SITE}/2.1/laureates?offset=0", body=answer, encoding="utf-8")
    with Watched(store):
        came = taken_in(store, crawl, crawl[0].parse_answer(response, offset=0))
    assert came, "neither a request nor a fault"


@settings(max_examples=700, **often)
@given(pages(), st.booleans())
def test_700_facts_pages(store: Path, page: bytes, known: bool) -> None:
    crawl = crawl_of(store)
    entry = LaureateEntry("1", "N. N.", None, False, (PRIZE,)) if known else None
    response = TextResponse(str(PRIZE.facts), body=page, encoding="utf-8")
    with Watched(store):
        came = taken_in(store, crawl, crawl[0].parse_facts(response, prize=PRIZE, entry=entry))
    assert len(came) == 1, "a page is a portrait, or a picture to fetch, or a fault"
    listed = TextResponse(f"{SITE}/list/", body=page, encoding="utf-8")
    assert taken_in(store, crawl, crawl[0].parse_list(listed))


@settings(max_examples=600, **often)
@given(
    st.sampled_from(PICTURES).flatmap(lambda data: damaged(data, often=2)) | st.binary(max_size=60),
    st.text(max_size=9),
)
def test_600_pictures(store: Path, data: bytes, name: str) -> None:
    crawl = crawl_of(store)
    portrait = {
        **{"id": "1", "name": name, "gender": None, "year": 1975, "category": "phy", "page": "p"},
        **{"image": f"{SITE}/../../{name}", "credit": name, "kind": "illustration"},
    }
    with Watched(store):
        Kept(store / "state").put(portrait["image"], data, "image/jpeg", name, "", "crawl")
        response = Response(f"{SITE}/x.jpg", body=data)
        taken_in(store, crawl, crawl[0].parse_picture(response, portrait=portrait))
        rows = manifest(crawl[2].rows)
        with fresh_folder(store / "raw") as folder:
            for row in rows:
                write_bytes(folder / row["file"], data)
            write_text(folder / "portraits.jsonl", as_lines(rows))
    assert len(crawl[2].rows) + len(crawl[2].faults) == 1
    assert {p.name for p in (store / "raw").iterdir()} == {r["file"] for r in rows} | {"portraits.jsonl"}
