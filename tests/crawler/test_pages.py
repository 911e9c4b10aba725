"""Page objects: portraits, credits and prizes are read from any markup, and broken pages break nothing."""

from contextlib import suppress
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.options import Options, host_and_port
from crawler.pages import FactsPage, PrizeList
from crawler.parsing import NotFound, page_key
from laureate.config.params import Crawl

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
    assert page_key("http://H:8000/a/facts/#x") == page_key("https://h:8000/a/facts?y=1") == "h:8000/a/facts"
    assert host_and_port("https://H:443/") == host_and_port("https://user@h/") == "h"
    assert host_and_port("http://h:443/") == "h:443"
