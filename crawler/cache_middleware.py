"""Memory between the spider and the site: `Remember` asks for nothing twice."""

import time

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from crawler.middlewares import Middleware
from crawler.response_store import Entry, Kept


class Remember(Middleware):
    """Answers from what is kept.

    A crawl that was cut short goes on with what it had. A new one asks nothing of what is younger than
    `fresh` hours; else pages with the site's own marks (ETag, Last-Modified), and pictures by HEAD: what has
    not changed is not sent twice.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.kept = Kept(self.options.state)
        self.crawl: str = crawler.settings["LAUREATE_CRAWL"]

    async def process_request(self, request: Request) -> Response | None:
        """The kept answer where it holds, None to ask the site."""
        entry = self.kept.find(self.options.public(request.url))
        if entry is None or request.method != "GET" or "about" not in request.meta:
            return None
        if entry.crawl == self.crawl:
            return self._kept_answer(request, entry)
        if time.time() - entry.at < self.options.fresh * 3600:
            self.kept.touch(entry, self.crawl, entry.at)
            return self._kept_answer(request, entry)
        if request.meta["about"] == "picture":
            if await self._unchanged(request, entry):
                self.kept.touch(entry, self.crawl, time.time())
                return self._kept_answer(request, entry)
            return None
        _add_marks(request, entry)
        return None

    def process_response(self, request: Request, response: Response) -> Response:
        """Keep a new answer; give the kept one where the site says that it holds."""
        if "about" not in request.meta or request.method != "GET" or "kept" in response.flags:
            return response
        address = self.options.public(request.url)
        entry = self.kept.find(address)
        if response.status == 304 and entry is not None:
            self.kept.touch(entry, self.crawl, time.time())
            return self._kept_answer(request, entry)
        if response.status == 200:
            headers = {name: (response.headers.get(name) or b"").decode("latin-1") for name in _MARKS}
            kind, etag, modified = (headers[name] for name in _MARKS)
            self.kept.put(address, response.body, kind, etag, modified, self.crawl, time.time())
            self._count("fetched", request)
        return response

    async def _unchanged(self, request: Request, entry: Entry) -> bool:
        """Whether the site still has these bytes, as far as a HEAD tells; when in doubt, yes.

        Some servers know no HEAD and refuse it or break it off. Where the picture is gone, or its marks or
        size have changed, it is asked for.
        """
        assert self.crawler.engine is not None
        head = Request(
            request.url, method="HEAD", meta={"handle_httpstatus_all": True, "dont_redirect": True}
        )
        _add_marks(head, entry)
        try:
            answer = await self.crawler.engine.download_async(head)
        except Exception:  # noqa: BLE001  # whatever broke the HEAD, it says nothing about the picture
            return True
        if answer.status != 200:
            return answer.status not in (404, 410)
        size = (answer.headers.get("Content-Length") or b"").decode("latin-1")
        if answer.headers.get("Content-Encoding") or size == "0":
            size = ""  # that of what was packed; or of the answer to HEAD, which has no body
        marks = [(answer.headers.get(name) or b"").decode("latin-1") for name in _MARKS[1:]]
        same = all(
            new == old or not new for new, old in zip(marks, (entry.etag, entry.modified), strict=True)
        )
        return bool(same and size in ("", str(entry.size)))

    def _kept_answer(self, request: Request, entry: Entry) -> Response:
        """An answer made of a kept body."""
        self._count("kept", request)
        body = self.kept.path(entry.sha256).read_bytes()
        headers = Headers({"Content-Type": entry.kind}) if entry.kind else Headers()
        made = responsetypes.from_args(headers=headers, url=request.url, body=body)
        return made(url=request.url, status=200, headers=headers, body=body, flags=["kept"])

    def _count(self, what: str, request: Request) -> None:
        assert self.crawler.stats is not None
        self.crawler.stats.inc_value(f"laureate/{what}/{request.meta['about']}")


_MARKS = ("Content-Type", "ETag", "Last-Modified")


def _add_marks(request: Request, entry: Entry) -> None:
    """Ask for the answer only if it is not the one that is kept."""
    if entry.etag:
        request.headers["If-None-Match"] = entry.etag
    if entry.modified:
        request.headers["If-Modified-Since"] = entry.modified
