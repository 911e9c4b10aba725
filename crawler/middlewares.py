"""Manners and safety, between the spider and the site.

`Hosts` lets no request leave the places that were named; `Robots` reads robots.txt and gives up where it
cannot; `Patience` waits when the site asks for it, and stops when it says no.
"""

import asyncio
import time
from email.utils import parsedate_to_datetime

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response

from crawler.options import Options, is_private, place

TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403})


class Middleware:
    """Knows the crawler and the options of its spider."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Middleware":
        """Scrapy's way of making one."""
        return cls(crawler)

    def stop(self, reason: str) -> None:
        """End the crawl; `reason` ends up in its result."""
        assert self.crawler.engine is not None
        # not awaited: the crawl ends when the request that asked for the end is done
        self.stopping = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason=reason))


class Hosts(Middleware):
    """Every request, also a redirected one, goes to a place that was named, by http or https."""

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest for an address elsewhere."""
        scheme = request.url.partition(":")[0].lower()
        if scheme not in ("http", "https"):
            raise IgnoreRequest(f"the address is neither http nor https: {request.url[:200]}")
        try:
            where = place(request.url)
        except ValueError:
            where = "?"
        if where not in self.options.places:
            known = ", ".join(sorted(self.options.places))
            raise IgnoreRequest(
                f"{request.url[:200]} is on another host: only {known} may be asked (crawl.hosts names more)"
            )
        if not self.options.private and is_private(where.rpartition(":")[0] or where):
            raise IgnoreRequest(f"{request.url[:200]} is an address of this machine or network")
        if self.options.site.startswith("https:") and scheme != "https":
            raise IgnoreRequest(f"the site is asked by https, and this leads to http: {request.url[:200]}")


class Robots(RobotsTxtMiddleware):
    """Scrapy's robots.txt, closed when it fails: after a 5xx or no answer nothing is fetched (RFC 9309)."""

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500 or response.status == 429:
            raise OSError(f"HTTP status {response.status}")
        if response.status >= 400:  # there is no robots.txt: everything is allowed
            response = response.replace(body=b"")
        await super()._parse_robots(response, netloc, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        parser = self._parserimpl.from_crawler(self.crawler, b"User-agent: *\nDisallow: /")
        waiting, self._parsers[netloc] = self._parsers[netloc], parser
        waiting.callback(parser)
        assert self.crawler.stats is not None
        self.crawler.stats.set_value("laureate/robots", f"{netloc}: {str(exc) or type(exc).__name__}")


class Patience(Middleware):
    """Waits as long as the site asks (`Retry-After`), longer after each failure, and stops after refusals."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.refusals = 0
        self.not_before: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Hold every request to a host that wants a pause."""
        wait = self.not_before.get(place(request.url), 0.0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Another try later for a passing failure; the end of the crawl after too many refusals."""
        if response.status in REFUSED:
            self.refusals += 1
            if self.refusals >= self.options.refusals:
                self.stop(f"refused {self.refusals} times (HTTP status {response.status})")
        if response.status not in TRY_AGAIN:
            return response
        asked = retry_after(response.headers.get("Retry-After"))
        if asked is not None and asked > self.options.longest_wait:
            self.stop(f"the site asks to wait {asked:.0f} s, longer than {self.options.longest_wait:.0f} s")
            return response
        return self._again(request, f"HTTP status {response.status}", asked) or response

    def process_exception(self, request: Request, exception: Exception) -> Request | None:
        """Another try after a broken connection or a time-out."""
        if isinstance(exception, IgnoreRequest):
            return None
        return self._again(request, type(exception).__name__, None)

    def _again(self, request: Request, reason: str, asked: float | None) -> Request | None:
        """The next try, after the pause asked for or twice the last one; None when there were enough."""
        assert self.crawler.spider is not None
        retry = get_retry_request(
            request, spider=self.crawler.spider, reason=reason, max_retry_times=self.options.retries
        )
        if retry is not None:
            tries = int(request.meta.get("retry_times", 0))
            wait = self.options.backoff * 2**tries if asked is None else asked
            self.not_before[place(request.url)] = time.monotonic() + wait
        return retry


def retry_after(value: bytes | None, now: float | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, be it seconds or a date (RFC 9110), or None."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))
