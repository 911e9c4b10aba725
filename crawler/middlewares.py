"""Downloader middlewares for safety and politeness.

`AllowedHosts` refuses requests to other hosts; `StrictRobotsTxt` obeys robots.txt and allows nothing when it
cannot be read; `CrawlDelay` keeps its delay; `RetryWithBackoff` waits as the site asks, and stops the crawl
after refusals.
"""

import asyncio
import math
import time
from email.utils import parsedate_to_datetime

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from twisted.internet.defer import Deferred

from crawler import site_rules
from crawler.options import Options, host_and_port, is_private

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403})


class Middleware:
    """Base class: holds the crawler and the options of the crawl."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Middleware":
        """Make the object, as Scrapy asks for it."""
        return cls(crawler)

    def stop(self, reason: str) -> None:
        """Stop the crawl; `reason` is written into its result."""
        assert self.crawler.engine is not None
        # not awaited: the crawl ends after the request that is being processed
        self.stopping = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason=reason))


class AllowedHosts(Middleware):
    """Refuses requests, redirected ones too, to hosts that are not named in the options."""

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest for another host, another scheme than http(s), and private addresses."""
        scheme = request.url.partition(":")[0].lower()
        if scheme not in ("http", "https"):
            raise IgnoreRequest(f"the address is neither http nor https: {request.url[:200]}")
        try:
            where = host_and_port(request.url)
        except ValueError:
            where = "?"
        if where not in self.options.allowed_hosts:
            known = ", ".join(sorted(self.options.allowed_hosts))
            raise IgnoreRequest(
                f"{request.url[:200]} is on another host: only {known} may be asked (crawl.hosts adds others)"
            )
        if not self.options.private and is_private(where.rpartition(":")[0] or where):
            raise IgnoreRequest(f"{request.url[:200]} is an address of this machine or network")
        if self.options.site.startswith("https:") and scheme != "https":
            raise IgnoreRequest(f"the site uses https, and this address uses http: {request.url[:200]}")


class StrictRobotsTxt(RobotsTxtMiddleware):
    """Scrapy's robots.txt middleware; nothing is allowed after a 5xx status or no answer (RFC 9309), and
    where the answer is no robots.txt. Its delays are put into the setting LAUREATE_DELAYS, for `CrawlDelay`.
    """

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500 or response.status == 429:
            raise OSError(f"HTTP status {response.status}")
        # with 4xx there is no robots.txt: everything is allowed
        body = b"" if response.status >= 400 else site_rules.robots_text(response.body)
        await super()._parse_robots(response.replace(body=body), netloc, request)
        options: Options = self.crawler.settings["LAUREATE"]
        delay = site_rules.delay_of(self._parsers[netloc].rp)
        if delay > options.longest_wait:
            limit = f"crawl.longest_wait is {options.longest_wait:g} s"
            raise OSError(f"it asks for {delay:g} s between requests, and {limit}")
        if delay > options.delay:
            self.crawler.settings["LAUREATE_DELAYS"][host_and_port(request.url)] = delay

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        parser = self._parserimpl.from_crawler(self.crawler, b"User-agent: *\nDisallow: /")
        waiting, self._parsers[netloc] = self._parsers[netloc], parser
        if isinstance(waiting, Deferred):
            waiting.callback(parser)
        assert self.crawler.stats is not None
        self.crawler.stats.set_value("laureate/robots", f"{netloc}: {str(exc) or type(exc).__name__}")


class CrawlDelay(Middleware):
    """Leaves the time between requests to a host that its robots.txt asks for (Crawl-delay, Request-rate)."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.delays: dict[str, float] = crawler.settings["LAUREATE_DELAYS"]
        self.last: dict[str, float] = {}  # the moment of the last request or response

    async def process_request(self, request: Request) -> None:
        """Wait for the host's turn."""
        host = host_and_port(request.url)
        while (wait := self.last.get(host, -math.inf) + self.delays.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait + 0.001)
        self.last[host] = time.monotonic()

    def process_response(self, request: Request, response: Response) -> Response:
        """Count the time from the response on."""
        self.last[host_and_port(request.url)] = time.monotonic()
        return response


class RetryWithBackoff(Middleware):
    """Waits as the site asks (`Retry-After`), else twice as long after each failure; stops after refusals."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.refusals = 0
        self.not_before: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Delay requests to a host until its pause is over."""
        wait = self.not_before.get(host_and_port(request.url), 0.0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Retry after a transient failure; stop the crawl after too many refusals."""
        if response.status in REFUSED:
            self.refusals += 1
            if self.refusals >= self.options.refusals:
                self.stop(f"refused {self.refusals} times (HTTP status {response.status})")
        if response.status not in TRANSIENT:
            return response
        requested = retry_after(response.headers.get("Retry-After"))
        if requested is not None and requested > self.options.longest_wait:
            self.stop(
                f"the site asks to wait {requested:.0f} s, longer than {self.options.longest_wait:.0f} s"
            )
            return response
        return self._retry(request, f"HTTP status {response.status}", requested) or response

    def process_exception(self, request: Request, exception: Exception) -> Request | None:
        """Retry after a broken connection or a time-out."""
        if isinstance(exception, IgnoreRequest):
            return None
        return self._retry(request, type(exception).__name__, None)

    def _retry(self, request: Request, reason: str, pause: float | None) -> Request | None:
        """The next try after `pause` seconds, or twice the last pause for None; None after the last try."""
        assert self.crawler.spider is not None
        retry = get_retry_request(
            request, spider=self.crawler.spider, reason=reason, max_retry_times=self.options.retries
        )
        if retry is not None:
            tries = int(request.meta.get("retry_times", 0))
            wait = self.options.backoff * 2**tries if pause is None else pause
            self.not_before[host_and_port(request.url)] = time.monotonic() + wait
        return retry


def retry_after(value: bytes | None, now: float | None = None) -> float | None:
    """Seconds that a `Retry-After` header (seconds or a date, RFC 9110) asks to wait; None without one."""
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
