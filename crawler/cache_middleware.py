"""Downloader middleware that reuses stored responses by conditional requests (RFC 9110, section 13)."""

import time

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from crawler import site_rules
from crawler.middlewares import Middleware
from crawler.response_store import ResponseStore, StoredResponse


class ResponseCache(Middleware):
    """Answers requests from the response store.

    A resumed crawl uses all responses that it has stored. A new crawl uses those younger than `fresh` hours
    without asking; it requests other pages with the site's validators (ETag, Last-Modified), and asks for
    pictures by HEAD first, so that nothing unchanged is sent twice.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.store = ResponseStore(self.options.state)
        self.crawl: str = crawler.settings["LAUREATE_CRAWL"]

    async def process_request(self, request: Request) -> Response | None:
        """The stored response where it is valid, None to ask the site."""
        entry = self.store.find(self.options.public(request.url))
        if entry is None or request.method != "GET" or "about" not in request.meta:
            return None
        if entry.crawl == self.crawl:
            return self._stored(request, entry)
        if time.time() - entry.at < self.options.fresh * 3600:
            self.store.touch(entry, self.crawl, entry.at)
            return self._stored(request, entry)
        if request.meta["about"] == "picture":
            if await self._unchanged(request, entry):
                self.store.touch(entry, self.crawl, time.time())
                return self._stored(request, entry)
            return None
        _add_validators(request, entry)
        return None

    def process_response(self, request: Request, response: Response) -> Response:
        """Store a new response; return the stored one where the site confirms it (304)."""
        if "about" not in request.meta or request.method != "GET" or "stored" in response.flags:
            return response
        address = self.options.public(request.url)
        entry = self.store.find(address)
        refused = directives(response)
        if response.status == 304 and entry is not None:
            self.store.touch(entry, self.crawl, time.time())
            stored = self._stored(request, entry)
            for name, values in refused.items():
                stored.headers[name] = values
            return stored
        if response.status == 200 and not refused:  # what is refused is not kept either
            headers = {name: (response.headers.get(name) or b"").decode("latin-1") for name in _HEADERS}
            kind, etag, modified = (headers[name] for name in _HEADERS)
            self.store.put(address, response.body, kind, etag, modified, self.crawl, time.time())
            self._count("fetched", request)
        return response

    async def _unchanged(self, request: Request, entry: StoredResponse) -> bool:
        """Whether the site still has these bytes, according to a HEAD request; when in doubt, yes.

        Some servers do not support HEAD and refuse it or close the connection. When the picture is gone, or
        its validators or size have changed, the answer is no.
        """
        assert self.crawler.engine is not None
        head = Request(
            request.url, method="HEAD", meta={"handle_httpstatus_all": True, "dont_redirect": True}
        )
        _add_validators(head, entry)
        try:
            answer = await self.crawler.engine.download_async(head)
        except Exception:  # noqa: BLE001  # a failed HEAD says nothing about the picture
            return True
        if answer.status != 200:
            return answer.status not in (404, 410)
        if directives(answer):
            return False
        size = (answer.headers.get("Content-Length") or b"").decode("latin-1")
        if answer.headers.get("Content-Encoding") or size == "0":
            size = ""  # the size of the compressed body, or of the empty body of the response to HEAD
        validators = [(answer.headers.get(name) or b"").decode("latin-1") for name in _HEADERS[1:]]
        same = all(
            new == old or not new for new, old in zip(validators, (entry.etag, entry.modified), strict=True)
        )
        return bool(same and size in ("", str(entry.size)))

    def _stored(self, request: Request, entry: StoredResponse) -> Response:
        """A response with a stored body."""
        self._count("reused", request)
        body = self.store.path(entry.sha256).read_bytes()
        headers = Headers({"Content-Type": entry.kind}) if entry.kind else Headers()
        made = responsetypes.from_args(headers=headers, url=request.url, body=body)
        return made(url=request.url, status=200, headers=headers, body=body, flags=["stored"])

    def _count(self, what: str, request: Request) -> None:
        assert self.crawler.stats is not None
        self.crawler.stats.inc_value(f"laureate/{what}/{request.meta['about']}")


def directives(response: Response) -> dict[str, list[bytes]]:
    """The headers by which a response refuses our use of it; empty where it does not."""
    found = {name: list(response.headers.getlist(name)) for name in REFUSING}
    robots, reserved = ([v.decode("latin-1") for v in found[name]] for name in REFUSING)
    return {n: v for n, v in found.items() if v} if site_rules.refusal(robots, reserved) else {}


REFUSING = ("X-Robots-Tag", "TDM-Reservation")
_HEADERS = ("Content-Type", "ETag", "Last-Modified")


def _add_validators(request: Request, entry: StoredResponse) -> None:
    """Make a request conditional: a body is sent only if it differs from the stored one."""
    if entry.etag:
        request.headers["If-None-Match"] = entry.etag
    if entry.modified:
        request.headers["If-Modified-Since"] = entry.modified
