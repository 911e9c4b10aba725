"""Page objects: all selectors of the site are here.

Each parses a page's text to typed values. A missing field raises `NotFound`, which names the field, the
selector and the page; no text, however broken, raises anything else.
"""

import re
from functools import cached_property
from urllib.parse import urlsplit

from parsel import Selector, SelectorList

from crawler import site_rules
from crawler.api_responses import PrizeEntry
from crawler.parsing import CATEGORIES, YEAR, NotFound, absolute, base_of, picture_addresses, text_of, tree


class PrizeList:
    """The list of all prizes, with which the API is compared."""

    LINK = ".card-prize .card-prize--laureates--links a, .by_year p a"
    FACTS = re.compile(r"/prizes/([a-z-]+)/([0-9]{4})/[^/]+/facts/?")
    SENTENCE = re.compile(
        r"awarded\s+([0-9,]{1,9})\s+times\s+to\s+([0-9,]{1,9})\s+(?:\w+\s+){0,3}?"
        r"(?:laureates|people|individuals|persons)",
        re.IGNORECASE,
    )
    BETWEEN = re.compile(r"between\s+([0-9]{4})\s+and\s+([0-9]{4})", re.IGNORECASE)

    def __init__(self, text: str, address: str) -> None:
        self.address = address
        self._page = tree(text)

    @cached_property
    def facts(self) -> dict[str, PrizeEntry]:
        """Facts page => its prize, parsed from the address. Raises NotFound when there is none."""
        prizes: dict[str, PrizeEntry] = {}
        base = base_of(self._page, self.address)
        for value in self._page.css(self.LINK).xpath("@href").getall():
            address = absolute(base, value)
            match = address and self.FACTS.search(urlsplit(address).path)
            if address and match and match[1] in CATEGORIES and YEAR.fullmatch(match[2]):
                prizes[address] = PrizeEntry(int(match[2]), CATEGORIES[match[1]], address)
        if not prizes:
            raise NotFound("link to a facts page", self.LINK, self.address)
        return prizes

    @property
    def counts(self) -> tuple[int, int] | None:
        """(prizes, people and organisations) of the sentence "awarded N times to M ...", None without it."""
        match = self.SENTENCE.search(self._sentence)
        return (_number(match[1]), _number(match[2])) if match else None

    @property
    def years(self) -> tuple[int, int] | None:
        """(first, last) of that sentence's "between Y and Z", None without it."""
        match = self.BETWEEN.search(self._sentence)
        return (int(match[1]), int(match[2])) if match else None

    @cached_property
    def _sentence(self) -> str:
        """The sentence with the counts, '' where there is none."""
        text = " ".join(" ".join(self._page.xpath("//body//p//text()").getall()).split())
        return next((part for part in text.split(". ") if self.SENTENCE.search(part)), "")


class FactsPage:
    """A laureate's facts page: id, name, the portrait's address, the credit line.

    Where a page has a section for each of several laureates, `expected` says whose is read.
    """

    SECTION = ".laureate-facts"
    IMAGE = ".image"
    CREDIT = ".figcaption__attribution"
    LAUREATE = re.compile(r"(?:^|\s)laur-([A-Za-z0-9_-]{1,32})(?:\s|$)")

    def __init__(self, text: str, address: str, expected: str | None = None) -> None:
        self.address = address
        self._page = tree(text)
        named = [
            (match[1], section)
            for section in self._page.css(self.SECTION)
            if (match := self.LAUREATE.search(section.xpath("@class").get("")))
        ]
        named.sort(key=lambda pair: pair[0] != expected)
        self._id: str | None = named[0][0] if named else None
        self._section: Selector | None = named[0][1] if named else None

    @property
    def id(self) -> str:
        """The `NNN` of the section's class `laur-NNN`."""
        if self._id is None:
            raise NotFound("laureate id", f"{self.SECTION}.laur-NNN", self.address)
        return self._id

    @property
    def refusal(self) -> str | None:
        """The directive in the page's meta elements against our use of it; None without one."""
        values: dict[str, list[str]] = {"robots": [], site_rules.AGENT: [], "tdm-reservation": []}
        for meta in self._page.css("meta[name]"):
            name = meta.xpath("@name").get("").strip().lower()
            if name in values:
                values[name].append(meta.xpath("@content").get(""))
        robots = values["robots"] + values[site_rules.AGENT]
        return site_rules.refusal(robots, values["tdm-reservation"], '<meta name="robots">')

    @property
    def name(self) -> str:
        """The heading, '' without one."""
        return text_of(self._inside("h1")[:1])

    @property
    def image(self) -> str:
        """The portrait's address, also of a lazily loaded one (`data-src`, `srcset`, `noscript`)."""
        return self._portrait[1]

    @property
    def credit(self) -> str:
        """The credit line at the portrait; several lines are joined.

        Lines elsewhere on the page belong to other pictures.
        """
        box = self._portrait[0]
        around = box.xpath("ancestor::figure[1] | following-sibling::*[1][not(descendant-or-self::img)]")
        for place in (box, *around):
            text = text_of(place.css(self.CREDIT))
            if text:
                return text
        raise NotFound("credit line", f"{self.SECTION} {self.IMAGE} {self.CREDIT}", self.address)

    @cached_property
    def _portrait(self) -> tuple[Selector, str]:
        """The first `.image` that holds a picture, and its address.

        When the best candidate is not a valid address, the others are not tried: they are placeholders.
        """
        base = base_of(self._page, self.address)
        for box in self._inside(self.IMAGE):
            values = (value.strip() for value in picture_addresses(box))
            best = next((value for value in values if value and not value.startswith(("data:", "#"))), None)
            address = absolute(base, best)
            if address is not None:
                return box, address
        raise NotFound("portrait", f"{self.SECTION} {self.IMAGE} img", self.address)

    def _inside(self, selector: str) -> SelectorList[Selector]:
        """Matches of a selector in the laureate's section; none without a section."""
        return self._section.css(selector) if self._section is not None else SelectorList([])


def _number(text: str) -> int:
    """'1,012' => 1012."""
    return int(text.replace(",", "") or 0)
