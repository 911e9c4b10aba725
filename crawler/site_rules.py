"""What a site asks of crawlers: its robots.txt as text, crawl delays, and directives against our use.

Directives are in the header `X-Robots-Tag`, in `<meta name="robots">`, and in TDMRep's `tdm-reservation`
(W3C, 2024).
"""

import math
import re
import zlib
from collections.abc import Iterable
from typing import Protocol

ROBOTS_LARGEST = 500 * 1024  # bytes that are read of a robots.txt (RFC 9309, section 2.5)
AGENT = "laureate"  # our name in robots.txt and in directives
FORBIDDEN = frozenset({"noai", "noimageai", "noimageindex", "noindex", "none"})
DELAY = re.compile(  # a delay with a comma or a unit, as people write it and the parser does not read it
    rb"(?im)^([ \t]*crawl[- ]?delay[ \t]*:[ \t]*)(\d+)(?:[.,](\d+))?[ \t]*"
    rb"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?)?[ \t]*(?=#|$)"
)
UNITS = {b"ms": 0.001, b"s": 1.0, b"m": 60.0}  # how a unit begins => seconds
VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


class Rules(Protocol):
    """The part of Protego's parser that is used."""

    def crawl_delay(self, user_agent: str) -> float | None:
        """Seconds of Crawl-delay."""

    def request_rate(self, user_agent: str) -> object | None:
        """Request-rate: `requests` in `seconds`."""


def robots_text(body: bytes) -> bytes:
    """A robots.txt in UTF-8, from bytes in UTF-8, in UTF-16 with a byte order mark, or gzipped.

    Delays such as `2,5` and `2 seconds` are given in seconds, and one before the first User-agent is for all.
    Raises ValueError for everything else: web pages, binary data, damaged archives.
    """
    if body.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            body = unpacker.decompress(body, ROBOTS_LARGEST)
        except zlib.error as error:
            raise ValueError(f"it is gzipped, and damaged ({error})") from None
        if not unpacker.eof and not unpacker.unconsumed_tail:
            raise ValueError("it is gzipped, and cut off")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            body = body[: len(body) // 2 * 2].decode("utf-16").encode("utf-8")
        except UnicodeError:
            raise ValueError("it is no text, although it begins as UTF-16 does") from None
    start = body[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError("it is a web page")
    if b"\0" in body or sum(byte < 32 and byte not in b"\t\n\r\f" for byte in body[:4096]) > 8:
        raise ValueError("it is no text")
    body = body.removeprefix(b"\xef\xbb\xbf")[:ROBOTS_LARGEST]
    text = DELAY.sub(_seconds, body.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    for_all = re.match(rb"(?i)(\s|#[^\n]*\n)*crawl[- ]?delay", text)
    return b"User-agent: *\n" + text if for_all else text


def _seconds(delay: re.Match[bytes]) -> bytes:
    """A line `Crawl-delay: NUMBER UNIT` in seconds."""
    start, whole, part, unit = delay.groups()
    unit = (unit or b"s").lower()
    short = b"ms" if unit.startswith((b"ms", b"milli")) else unit[:1]
    return start + f"{float(whole + b'.' + (part or b'0')) * UNITS[short]:g}".encode()


def delay_of(rules: Rules, agent: str = AGENT) -> float:
    """Seconds between requests that robots.txt asks of us, by Crawl-delay or Request-rate; 0 for none."""
    asked = [rules.crawl_delay(agent)]
    rate = rules.request_rate(agent)
    if rate is not None:
        requests = getattr(rate, "requests", 0)
        asked.append(getattr(rate, "seconds", 0) / requests if requests else None)
    return max((float(s) for s in asked if s is not None and math.isfinite(s) and s > 0), default=0.0)


def refusal(
    headers: Iterable[str], reservations: Iterable[str] = (), where: str = "X-Robots-Tag"
) -> str | None:
    """The directive against our use of a page or picture, such as "X-Robots-Tag: noai"; None without one.

    `headers` are values of X-Robots-Tag or of robots meta elements: directives by comma, each group may
    begin with the name of a crawler ("otherbot: noindex"), and then counts for that one only.
    `reservations` are values of tdm-reservation.
    """
    for value in headers:
        mine = True
        for part in value.split(","):
            name, colon, rest = part.strip().lower().partition(":")
            directive = name.strip()
            if colon and directive not in VALUED:
                mine, directive = directive in (AGENT, "*"), rest.strip()
            if mine and directive in FORBIDDEN:
                return f"{where}: {directive}"
    if any(value.strip() == "1" for value in reservations):
        return "tdm-reservation: 1"
    return None
