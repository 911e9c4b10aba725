"""Page objects, the kept store and the pure parts of a crawl."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sites_of_faults import few

from crawler.api_responses import LaureatesAnswer
from crawler.middlewares import retry_after
from crawler.options import Options, place
from crawler.pages import FactsPage, PrizeList
from crawler.parsing import NotFound, same_page
from crawler.report import changes, coverage
from crawler.response_store import Kept
from laureate.config.params import Crawl
from laureate.core.errors import LaureateError
from laureate.formats.portraits import manifest, read_manifest
from laureate.simulator.museum.server import Museum

ADDRESS = "http://127.0.0.1:8000/prizes/physics/1975/bohr/facts/"
IMAGES = {
    '<img src="/a.jpg">': "/a.jpg",
    '<picture><source srcset="/w.webp"><img src="/a.jpg"></picture>': "/a.jpg",
    '<img src="data:image/gif;base64,R0" data-src="/b.jpg">': "/b.jpg",
    '<img src="/blank.gif" data-src="../b.jpg">': "/prizes/physics/1975/bohr/b.jpg",
    '<img src="data:image/gif;base64,R0"><noscript><img src="/c.jpg"></noscript>': "/c.jpg",
    '<img srcset="/s.jpg 248w, /m.jpg 496w">': "/m.jpg",
    '<img data-srcset="/s.jpg 1x, /m.jpg 2x" src="data:,">': "/m.jpg",
    '<img src="//127.0.0.1:8000/d.jpg">': "/d.jpg",
    '<img src="/images/robert%20b111769-portrait.jpg">': "/images/robert%20b111769-portrait.jpg",
    '<img src="/images/Øy vind.jpg">': "/images/%C3%98y%20vind.jpg",
}


@pytest.mark.parametrize("markup", IMAGES)
def test_the_address_of_a_portrait_is_read_however_it_is_loaded(markup: str) -> None:
    text = f'<section class="laureate-facts laur-1"><div class="image">{markup}</div></section>'
    assert FactsPage(text, ADDRESS).image == f"http://127.0.0.1:8000{IMAGES[markup]}"


@pytest.mark.parametrize(
    "value",
    ["file:///etc/passwd", "data:image/png;base64,AA", "ftp://h/a.jpg", "http://[", "", " ", "javascript:1"],
)
def test_an_address_that_is_not_http_is_none(value: str) -> None:
    text = f'<section class="laureate-facts laur-1"><div class="image"><img src="{value}"></div></section>'
    with pytest.raises(NotFound, match=r"no portrait: nothing matches '\.laureate-facts \.image img'"):
        _ = FactsPage(text, ADDRESS).image


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["id", "knownName", "orgName", "gender", "nobelPrizes", "links", "awardYear", "category", "class"]
)
answers = st.fixed_dictionaries(
    {
        "laureates": st.lists(
            json_values | st.dictionaries(fields, json_values | st.dictionaries(fields, json_values)),
            max_size=4,
        )
    },
    optional={"meta": json_values, "links": json_values},
)


@settings(max_examples=100, deadline=None)
@given(answers | json_values)
def test_no_answer_of_an_api_breaks_the_reading(answer: Any) -> None:
    read = LaureatesAnswer(json.dumps(answer), "http://127.0.0.1/2.1/laureates")
    try:
        assert all(entry.id.replace("-", "").replace("_", "").isalnum() for entry in read.entries)
    except NotFound:
        assert read.received == 0
    assert read.count is None or isinstance(read.count, int)


PIECES = """
<section class="laureate-facts laur-1">|</section>|<div class="image">|</div>|<noscript>|</noscript>|
<img src="|
<img data-src="|" srcset="|">|<h1>|<p class="figcaption__attribution">|<div class="card-prize">|
<div class="card-prize--laureates--links">|<a href="/prizes/physics/1975/b/facts/">|<![CDATA[|<!--|&#0;|
&#xFFFFFFFF;|http://[::1|//|%zz|, 2x|laur-|<p>awarded 1 times to 2 people
""".replace("\n", "").split("|")
markup = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=24).map("".join)


@settings(max_examples=150, deadline=None)
@given(markup)
def test_no_page_breaks_the_reading(text: str) -> None:
    facts, listed = FactsPage(text, ADDRESS), PrizeList(text, ADDRESS)
    for read in (lambda: facts.id, lambda: facts.image, lambda: facts.credit, lambda: listed.facts):
        with suppress(NotFound):
            read()
    assert isinstance(facts.name, str)
    assert listed.counts is None or len(listed.counts) == 2


@settings(max_examples=100, deadline=None)
@given(
    st.text(), st.sampled_from(["Ill. ", "Photo: ", ""]), st.sampled_from(["Ill. N. N.", "Photo by", "©", ""])
)
def test_a_credit_is_of_one_kind_or_unknown(text: str, start: str, end: str) -> None:
    options = Options("http://a", "http://a/2.1", "state")
    kind = options.kind(f"{start}{text} {end}")
    both = "Ill." in start + end and "Photo" in start + end
    assert kind in ("illustration", "photograph", "unknown")
    assert not both or kind == "unknown"


row = st.fixed_dictionaries(
    {
        "id": st.sampled_from("123"),
        "year": st.sampled_from([2001, 2002]),
        "category": st.just("phy"),
        "name": st.just("N"),
        "kind": st.sampled_from(["illustration", "photograph", "unknown"]),
        "sha256": st.none() | st.sampled_from("abc"),
    }
)
tables = st.lists(row, unique_by=lambda r: (r["id"], r["year"]), max_size=6)


@given(tables, tables)
def test_changes_are_told_once_and_none_are_lost(before: Any, now: Any) -> None:
    told = changes(before, now)
    back = changes(now, before)
    assert sorted(told["appeared"]) == sorted(back["vanished"])
    assert len(told["changed kind"]) == len(back["changed kind"])
    assert changes(now, now) == {"appeared": [], "vanished": [], "changed bytes": [], "changed kind": []}
    assert len(now) == len(before) + len(told["appeared"]) - len(told["vanished"])


def test_rows_with_the_same_bytes_name_one_file() -> None:
    rows = [
        {"sha256": s, "file": f} for s, f in (("a", "1.jpg"), ("b", "2.jpg"), ("a", "3.jpg"), (None, None))
    ]
    assert [row["file"] for row in manifest(rows)] == ["1.jpg", "2.jpg", "1.jpg", None]


def test_coverage_counts_what_was_not_understood() -> None:
    faults = [{"about": about} for about in ("page", "picture", "check", "api")]
    rows = [{"kind": "illustration"}, {"kind": "unknown"}]
    found = coverage({"rows": rows, "faults": faults}, ["illustration"], asked=4)
    assert found == {"pages": 3 / 4, "pictures": 1 / 2, "credits": 2 / 3}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 2: this is no JSON object"),
        ("[]", "line 2"),
        ('{"id": "1"}', "line 2: name, .*missing"),
        ("", "line 2"),
    ],
)
def test_a_broken_line_of_the_manifest_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    good = json.dumps(dict.fromkeys(("id", "name", "credit", "kind", "file", "sha256"), ""))
    (tmp_path / "portraits.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(LaureateError, match=sentence):
        read_manifest(tmp_path / "portraits.jsonl")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a["meta"].update(count=900), "meta.count says 900 laureates, 3 came"),
        (lambda a: a["meta"].pop("count"), None),
        (lambda a: a["laureates"][0].update(id=None), "laureate 0 has no usable id"),
        (lambda a: a["laureates"][0].update(id="../../etc"), "laureate 0 has no usable id"),
        (lambda a: a["laureates"][0].pop("nobelPrizes"), "has no prize"),
        (
            lambda a: a["laureates"][0]["nobelPrizes"][0].update(links=[]),
            "has no link of class 'laureate facts'",
        ),
        (lambda a: a["laureates"][0].update(knownName="Plain Text"), None),
        (lambda a: a["links"].update(next="http://127.0.0.1:9/2.1/laureates"), None),
        (lambda a: a["laureates"].append(a["laureates"][0]), None),
    ],
)
def test_api_answers_with_faults(change: Callable[[Any], Any], reason: str | None) -> None:
    def act(text: str) -> str:
        answer = json.loads(text)
        change(answer)
        return json.dumps(answer)

    answer = LaureatesAnswer(act(sample_answer()), "http://127.0.0.1/2.1/laureates")
    told = [*answer.problems]
    if answer.count != answer.received:
        told.append(f"meta.count says {answer.count} laureates, {answer.received} came")
    assert any(reason in problem for problem in told) if reason else len(answer.entries) >= 3


def sample_answer() -> str:
    """An answer of the API with three laureates."""
    return Museum(few(3))("/2.1/laureates", "127.0.0.1").body.decode()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        (b"7", 7.0),
        (b" 0 ", 0.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        (b"Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        (b"soon", None),
        (b"-3", None),
        (b"\xff", None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(header: bytes | None, seconds: float | None) -> None:
    assert retry_after(header, now=784111740.0) == seconds


def test_what_a_kill_leaves_half_written_is_taken_away(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.put("http://a/1", b"one", "image/jpeg", '"x"', "", "c")
    kept.put("http://a/2", b"two", "image/jpeg", "", "", "c")
    (tmp_path / "bodies/.abc.123.part").write_bytes(b"half")
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"address": "http://a/3", "sha2')
    again = Kept(tmp_path)
    assert not list((tmp_path / "bodies").glob(".*"))
    assert again.find("http://a/3") is None
    entry = again.find("http://a/1")
    assert entry is not None
    assert again.path(entry.sha256).read_bytes() == b"one"
    again.put("http://a/3", b"three", "", "", "", "c")
    assert Kept(tmp_path).find("http://a/3") is not None
    again.path(entry.sha256).write_bytes(b"eno")
    assert Kept(tmp_path).find("http://a/1") is None


def facts_page(inside: str, head: str = "") -> FactsPage:
    """A facts page with `inside` in its section."""
    return FactsPage(f'<head>{head}</head><section class="laur-1 laureate-facts">{inside}</section>', ADDRESS)


CREDIT = '<p class="figcaption__attribution">Ill. N. N.</p>'
OTHER = '<figure><img src="/x.jpg"><p class="small figcaption__attribution">Photo: X</p></figure>'


@pytest.mark.parametrize(
    "inside",
    [
        f'<div class="wide image"><img src="/a.jpg"><figcaption>{CREDIT}</figcaption></div>{OTHER}',
        f'{OTHER}<div><figure class="image"><b><img src="/a.jpg"></b>{CREDIT}</figure></div>',
        f'{OTHER}<figure><div class="image"><img src="/a.jpg"></div>{CREDIT}</figure>',
        f'<p class="image"></p><div class="image"><img src="/a.jpg"></div><figcaption>{CREDIT}</figcaption>',
    ],
)
def test_portrait_and_credit_are_found_in_other_wrappings(inside: str) -> None:
    page = facts_page(inside)
    assert (page.id, page.credit, page.image) == ("1", "Ill. N. N.", "http://127.0.0.1:8000/a.jpg")


def test_the_credit_of_another_picture_is_not_the_portraits() -> None:
    alone = f'<div class="image"><img src="/a.jpg"></div>{OTHER}'
    for page in (facts_page(alone), facts_page(f"{OTHER}{CREDIT}")):
        with pytest.raises(NotFound, match=r"no credit line|no portrait"):
            _ = page.credit


def test_a_placeholder_does_not_stand_in_for_an_address_that_is_no_good() -> None:
    for late in ("file:///etc/passwd", "ftp://h/a.jpg"):
        with pytest.raises(NotFound, match="no portrait"):
            _ = facts_page(f'<div class="image"><img src="/blank.gif" data-src="{late}"></div>').image


@pytest.mark.parametrize(
    ("base", "address"), [("/deep/", "/deep/a.jpg"), ("http://h/", "http://h/a.jpg"), ("mailto:x", None)]
)
def test_a_base_is_what_addresses_are_relative_to(base: str, address: str | None) -> None:
    page = facts_page('<div class="image"><img src="a.jpg"></div>', f'<base href="{base}">')
    assert page.image == urljoin(ADDRESS, address or "a.jpg")
    listed = PrizeList(
        f'<base href="{base}"><div class="card-prize"><i class="card-prize--laureates--links">'
        '<a href="prizes/physics/1975/bohr/facts/">',
        "http://127.0.0.1:8000/list/all/",
    )
    assert [urlsplit(found).path for found in listed.facts] == [
        {"/deep/": "/deep/prizes", "http://h/": "/prizes", "mailto:x": "/list/all/prizes"}[base]
        + "/physics/1975/bohr/facts/"
    ]


@pytest.mark.parametrize(
    ("credit", "kind"),
    [
        ("Ill. Niklas Elmehed © Nobel Prize Outreach", "illustration"),
        ("© Nobel Media. ILLUSTRATION: N. Elmehed", "illustration"),
        ("Illustrator: N. Elmehed", "illustration"),
        ("© The Nobel Foundation. Photo: U. Montan", "photograph"),
        ("Photograph from the archive", "photograph"),
        ("Ill. Niklas Elmehed. Photo: A. Mahmoud", "unknown"),
        ("Photo illustration by N. N.", "unknown"),
        ("Still. Bill. Gates", "unknown"),
        ("© Nobel Prize Outreach", "unknown"),
    ],
)
def test_credit_lines(credit: str, kind: str) -> None:
    patterns = tuple(Crawl().credits.items())
    assert Options("http://a", "http://a/2.1", "state", credits=patterns).kind(credit) == kind


def test_addresses_of_one_page_are_one() -> None:
    assert (
        same_page("http://H:8000/a/facts/#x") == same_page("https://h:8000/a/facts?y=1") == "h:8000/a/facts"
    )
    assert place("https://H:443/") == place("https://user@h/") == "h"
    assert place("http://h:443/") == "h:443"
