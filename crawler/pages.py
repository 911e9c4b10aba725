"""Page objects: every selector and field name of the site is here, and nothing else.

Each takes an answer's text and gives typed values. What is not found raises `NotFound`, which names the
field, the selector and the page; no text, however broken, raises anything else.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from parsel import Selector, SelectorList
from w3lib.url import safe_url_string

CATEGORIES: dict[str, str] = {  # as the API writes them, as an address writes them => the API's code
    "physics": "phy",
    "chemistry": "che",
    "physiology or medicine": "med",
    "medicine": "med",
    "literature": "lit",
    "peace": "pea",
    "economic sciences": "eco",
    "economic-sciences": "eco",
    **{code: code for code in ("phy", "che", "med", "lit", "pea", "eco")},
}
FACTS_LINK = "laureate facts"
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
YEAR = re.compile(r"(1[89]|20)\d\d")


class NotFound(ValueError):
    """A field is not on a page; the sentence names the selector that found nothing."""

    def __init__(self, field: str, selector: str, page: str) -> None:
        super().__init__(f"no {field}: nothing matches '{selector}' on {page}")


@dataclass(frozen=True)
class PrizeEntry:
    """A prize inside a laureate; `facts` is the address of its facts page, None when the API has no link."""

    year: int
    category: str
    facts: str | None


@dataclass(frozen=True)
class LaureateEntry:
    """A laureate as the API tells it."""

    id: str
    name: str
    gender: str | None
    organisation: bool
    prizes: tuple[PrizeEntry, ...]


class LaureatesAnswer:
    """One answer of `/laureates`. Entries that make no sense are told in `problems`, the others are read."""

    def __init__(self, text: str, address: str) -> None:
        self.address = address
        try:
            answer = json.loads(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            answer = None
        self._answer: dict[str, Any] = answer if isinstance(answer, dict) else {}
        rows = self._answer.get("laureates")
        self._rows: list[Any] | None = rows if isinstance(rows, list) else None
        self.problems: list[str] = []
        entries = [self._entry(row, number) for number, row in enumerate(self._rows or [])]
        self._entries = [entry for entry in entries if entry is not None]

    @property
    def entries(self) -> list[LaureateEntry]:
        """The laureates in the answer. Raises NotFound when the list itself is missing."""
        if self._rows is None:
            raise NotFound("list of laureates", "laureates", self.address)
        return self._entries

    @property
    def received(self) -> int:
        """How many laureates came, readable or not."""
        return len(self._rows or [])

    @property
    def count(self) -> int | None:
        """How many laureates there are in all, as the API says; None when it does not."""
        meta = self._answer.get("meta")
        count = meta.get("count") if isinstance(meta, dict) else None
        if isinstance(count, str) and count.isdecimal():
            count = int(count)
        return count if isinstance(count, int) and not isinstance(count, bool) else None

    @property
    def has_next(self) -> bool:
        """Whether the answer says that another one follows; where it leads is not believed."""
        links = self._answer.get("links")
        return bool(isinstance(links, dict) and links.get("next"))

    def _entry(self, row: Any, number: int) -> LaureateEntry | None:
        """One laureate, or None and a problem."""
        if not isinstance(row, dict):
            self.problems.append(f"laureate {number} is no object")
            return None
        value = row.get("id")
        identity = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not ID.fullmatch(identity):
            self.problems.append(f"laureate {number} has no usable id (field 'id': {str(value)[:40]!r})")
            return None
        organisation = "orgName" in row or ("founded" in row and "gender" not in row)
        name = _english(row.get("orgName")) if organisation else ""
        for field in ("knownName", "fullName", "familyName"):
            name = name or _english(row.get(field))
        if not name:
            self.problems.append(f"laureate {identity} has no name (field 'knownName.en')")
        gender = row.get("gender")
        return LaureateEntry(
            identity,
            name,
            gender if gender in ("male", "female") else None,
            organisation,
            tuple(self._prizes(row, identity)),
        )

    def _prizes(self, row: dict[str, Any], identity: str) -> Iterator[PrizeEntry]:
        """The prizes of a laureate that have a year and a category."""
        prizes = [prize for prize in _listed(row.get("nobelPrizes")) if isinstance(prize, dict)]
        if not prizes:
            self.problems.append(f"laureate {identity} has no prize (field 'nobelPrizes')")
        for prize in prizes:
            year = str(prize.get("awardYear", "")).strip()
            category = CATEGORIES.get(_english(prize.get("category")).lower())
            if not YEAR.fullmatch(year) or category is None:
                self.problems.append(
                    f"a prize of laureate {identity} has no usable year or category "
                    "(fields 'awardYear', 'category.en')"
                )
                continue
            links = list(self._facts(prize.get("links")))
            if not links:  # older answers: the link is the laureate's, and its path has the year
                links = [link for link in self._facts(row.get("links")) if f"/{year}/" in link]
            if not links:
                self.problems.append(f"laureate {identity} has no link of class '{FACTS_LINK}' for {year}")
            yield PrizeEntry(int(year), category, links[0] if links else None)

    def _facts(self, links: Any) -> Iterator[str]:
        """Addresses among `links` that are marked as facts pages, or look like one."""
        found = [link for link in _listed(links) if isinstance(link, dict)]
        marked = [link for link in found if FACTS_LINK in _listed(link.get("class"))]
        for link in marked or found:
            if marked or re.search(r"/facts/?$", str(link.get("href"))):
                address = _address(self.address, link.get("href"))
                if address is not None:
                    yield address


class PrizeList:
    """The list of all prizes: an independent word on who there is."""

    LINK = ".card-prize .card-prize--laureates--links a, .by_year p a"
    SENTENCE = re.compile(
        r"awarded\s+(\d[\d,]*)\s+times\s+to\s+(\d[\d,]*)\s+(?:\w+\s+){0,3}?(?:laureates|people|individuals|persons)",
        re.IGNORECASE,
    )

    def __init__(self, text: str, address: str) -> None:
        self.address = address
        self._page = _selector(text)
        self._base = _base(self._page, address)

    @cached_property
    def facts(self) -> dict[str, PrizeEntry]:
        """Facts page => its prize, as far as the address tells it. Raises NotFound when there is none."""
        found: dict[str, PrizeEntry] = {}
        for value in self._page.css(self.LINK).xpath("@href").getall():
            address = _address(self._base, value)
            match = address and re.search(r"/prizes/([a-z-]+)/(\d{4})/[^/]+/facts/?$", urlsplit(address).path)
            if address and match and match[1] in CATEGORIES and YEAR.fullmatch(match[2]):
                found[address] = PrizeEntry(int(match[2]), CATEGORIES[match[1]], address)
        if not found:
            raise NotFound("link to a facts page", self.LINK, self.address)
        return found

    @property
    def counts(self) -> tuple[int, int] | None:
        """(prizes, people and organisations) of the sentence "awarded N times to M ...", None without it."""
        match = self.SENTENCE.search(
            " ".join(self._page.xpath("//body//text()[not(parent::script or parent::style)]").getall())
        )
        return (_number(match[1]), _number(match[2])) if match else None


class FactsPage:
    """A laureate's facts page: who it is about, the portrait's address, the credit line."""

    SECTION = ".laureate-facts"
    NAME = ".laureate-facts h1"
    IMAGE = ".laureate-facts .image"
    CREDIT = ".figcaption__attribution"

    def __init__(self, text: str, address: str) -> None:
        self.address = address
        self._page = _selector(text)
        self._base = _base(self._page, address)

    @property
    def id(self) -> str:
        """The `NNN` of the section's class `laur-NNN`."""
        names = " ".join(self._page.css(self.SECTION).xpath("@class").getall())
        match = re.search(r"(?:^|\s)laur-([A-Za-z0-9_-]{1,32})(?:\s|$)", names)
        if not match:
            raise NotFound("laureate id", f"{self.SECTION}.laur-NNN", self.address)
        return match[1]

    @property
    def name(self) -> str:
        """The heading, '' without one."""
        return _text(self._page.css(self.NAME)[:1])

    @property
    def image(self) -> str:
        """The portrait's address, also where it is loaded late (`data-src`, `srcset`, `noscript`)."""
        return self._portrait[1]

    @property
    def credit(self) -> str:
        """The credit line under the portrait."""
        image = self._portrait[0]  # a line elsewhere on the page is about another picture
        around = image.xpath("ancestor::figure[1] | following-sibling::*[1][not(descendant-or-self::img)]")
        lines = [*image.css(self.CREDIT), *around.css(self.CREDIT)]
        text = _text(SelectorList(lines[:1]))
        if not text:
            raise NotFound("credit line", f"{self.IMAGE} {self.CREDIT}", self.address)
        return text

    @cached_property
    def _portrait(self) -> tuple[Selector, str]:
        """The first `.image` that holds a picture, and its address.

        An address that is no good is not passed over: what stands beside it is but a placeholder.
        """
        for image in self._page.css(self.IMAGE):
            values = (value.strip() for value in _sources(SelectorList([image])))
            best = next((value for value in values if value and not value.startswith(("data:", "#"))), None)
            address = _address(self._base, best)
            if address is not None:
                return image, address
        raise NotFound("portrait", f"{self.IMAGE} img", self.address)


_LATE = "@*[starts-with(name(), 'data-') and contains(name(), 'src')"


def _sources(image: SelectorList[Selector]) -> Iterator[str]:
    """Addresses of the picture in an `.image`, best first: a `src` beside others may be a placeholder."""
    yield from image.xpath(f".//img/{_LATE} and not(contains(name(), 'srcset'))]").getall()
    yield from image.css("noscript img::attr(src)").getall()
    for text in image.css("noscript::text").getall():  # where a parser keeps its content as text
        yield from _selector(text).css("img::attr(src)").getall() if "<img" in text else ()
    yield from _widest(image.xpath(f".//img/{_LATE} and contains(name(), 'srcset')]").getall())
    yield from _widest(image.css("img::attr(srcset)").getall())
    yield from image.css("img::attr(src)").getall()
    yield from _widest(image.xpath(f".//source/{_LATE}]").getall())
    yield from _widest(image.css("source::attr(srcset)").getall())


def _widest(sets: Iterable[str]) -> Iterator[str]:
    """The addresses of `srcset` attributes, each set's widest first."""
    for text in sets:
        found = re.findall(r"(\S*[^\s,])(?:\s+([\d.]+)[wx])?\s*(?:,|$)", text[:4096])
        sizes = [(float(size) if re.fullmatch(r"\d+(\.\d+)?", size) else 1.0, link) for link, size in found]
        yield from (link for _, link in sorted(sizes, key=lambda pair: -pair[0]))


def same_page(address: str) -> str:
    """An address as it is compared: host and path, without scheme, query, fragment and last slash."""
    parts = urlsplit(address)
    return f"{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _base(page: Selector, address: str) -> str:
    """What relative addresses on a page are relative to: its `<base href>`, or the page itself."""
    return _address(address, page.css("base::attr(href)").get()) or address


def _address(base: str, value: Any) -> str | None:
    """An absolute http(s) address, None for anything else."""
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        address = safe_url_string(urljoin(base, value.strip()))
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (ValueError, UnicodeError):
        return None
    return address if usable else None


def _selector(text: str) -> Selector:
    """A page as a tree; an empty or broken one has nothing in it."""
    try:
        return Selector(text=text.replace("\x00", "") or "<html></html>", type="html")
    except (ValueError, TypeError):
        return Selector(text="<html></html>", type="html")


def _text(nodes: SelectorList[Selector]) -> str:
    """The text inside, with single spaces."""
    return " ".join(" ".join(nodes.xpath(".//text()").getall()).split())


def _english(value: Any) -> str:
    """The `en` of a translated field, or the field itself where it is plain text; '' for anything else."""
    text = value.get("en") if isinstance(value, dict) else value
    return " ".join(text.split()) if isinstance(text, str) else ""


def _listed(value: Any) -> list[Any]:
    """A list, a single value as a list of one, nothing as an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _number(text: str) -> int:
    """'1,012' => 1012."""
    return int(text.replace(",", "") or 0)
