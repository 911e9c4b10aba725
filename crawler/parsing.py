"""Shared parsing of pages and API responses: addresses, texts, the error `NotFound`."""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

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
YEAR = re.compile(r"(1[89]|20)[0-9][0-9]")
PORTS = {"http": 80, "https": 443}


class NotFound(ValueError):
    """A field is missing on a page; the message names the selector that matches nothing."""

    def __init__(self, field: str, selector: str, page: str) -> None:
        super().__init__(f"no {field}: nothing matches '{selector}' on {page}")


def absolute(base: str, value: Any) -> str | None:
    """An absolute http(s) address without a fragment, None for anything else.

    Scheme and host are in lower case and a default port is omitted, so that equal addresses are equal texts.
    """
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        parts = urlsplit(safe_url_string(urljoin(base, value.strip())))
        host, port = parts.hostname, parts.port
        if parts.scheme not in PORTS or not host or parts.username is not None or port == 0:
            return None
        where = f"[{host}]" if ":" in host else host
        if port is not None and port != PORTS[parts.scheme]:
            where += f":{port}"
        return urlunsplit((parts.scheme, where, parts.path or "/", parts.query, ""))
    except (ValueError, UnicodeError):
        return None


def page_key(address: str) -> str:
    """A key of the page at an address: scheme, query, fragment and a final slash do not count."""
    parts = urlsplit(address)
    return f"{parts.netloc.lower()}{parts.path.rstrip('/')}"


def base_of(page: Selector, address: str) -> str:
    """The base of relative addresses on a page: its `<base href>`, else its own address."""
    return absolute(address, page.xpath("//base/@href").get()) or address


def tree(text: str) -> Selector:
    """A page as a tree; one without elements for a page that cannot be parsed."""
    try:
        return Selector(text=text.replace("\x00", "") or "<html></html>", type="html")
    except (ValueError, TypeError):
        return Selector(text="<html></html>", type="html")


def text_of(nodes: SelectorList[Selector]) -> str:
    """The text inside, with single spaces."""
    return clean(" ".join(nodes.xpath(".//text()").getall()))


def clean(text: str) -> str:
    """Single spaces, and nothing that UTF-8 cannot write (a lone surrogate becomes a question mark)."""
    return " ".join(text.split()).encode("utf-8", errors="replace").decode("utf-8")


def english(value: Any) -> str:
    """The `en` of a translated field, or the field itself where it is plain text; '' for anything else."""
    text = value.get("en") if isinstance(value, dict) else value
    return clean(text) if isinstance(text, str) else ""


def as_list(value: Any) -> list[Any]:
    """A list, a single value as a list of one, nothing as an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


PLACEHOLDER = re.compile(r"placeholder|blank|spacer|transparent|loading|lazy|pixel|1x1", re.IGNORECASE)


def picture_addresses(image: Selector) -> Iterator[str]:
    """Candidate addresses of the picture in an element, best first.

    A `src` beside a `data-src` is a placeholder until a script runs; so is one with a name such as `blank`.
    """
    yield from _lazy(image, "src")
    yield from image.css("noscript img::attr(src)").getall()
    for text in image.css("noscript::text").getall():  # where a parser keeps its content as text
        yield from tree(text).css("img::attr(src)").getall() if "<img" in text else ()
    yield from _widest(_lazy(image, "srcset"))
    plain = image.css("img::attr(src)").getall()
    yield from (address for address in plain if not PLACEHOLDER.search(address))
    yield from _widest(image.css("img::attr(srcset), source::attr(srcset)").getall())
    yield from plain


def _lazy(image: Selector, ending: str) -> list[str]:
    """Values of lazy-loading attributes: `data-*src` and `data-original`, or `data-*srcset`."""
    names = f"substring(name(), string-length(name()) - {len(ending) - 1}) = '{ending}'"
    also = " or name() = 'data-original'" if ending == "src" else ""
    nodes = "*[self::img or self::source]"
    return image.xpath(f".//{nodes}/@*[starts-with(name(), 'data-') and ({names}{also})]").getall()


def _widest(sets: Iterable[str]) -> Iterator[str]:
    """The addresses of `srcset` attributes, each set's widest first."""
    for text in sets:
        candidates = re.findall(r"(\S*[^\s,])(?:\s+([\d.]+)[wx])?\s*(?:,|$)", text[:4096])
        sizes = [
            (float(size) if re.fullmatch(r"\d+(\.\d+)?", size) else 1.0, link) for link, size in candidates
        ]
        yield from (link for _, link in sorted(sizes, key=lambda pair: -pair[0]))
