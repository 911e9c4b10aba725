"""The spider: requests the API, the list page, facts pages and pictures, and yields items."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urljoin

from scrapy import Request, Spider
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from crawler import site_rules
from crawler.api_responses import LaureateEntry, LaureatesResponse, PrizeEntry
from crawler.cache_middleware import REFUSING
from crawler.items import Excluded, Fault, Portrait, Skipped
from crawler.options import Options
from crawler.pages import FactsPage, PrizeList
from crawler.parsing import NotFound, page_key
from crawler.progress_events import emit

Yielded = Iterator[Request | Fault | Skipped | Excluded | Portrait]


class LaureateSpider(Spider):
    """One crawl of one site."""

    name = "laureate"

    def __init__(self, options: Options, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.options = options
        self.laureates: dict[str, LaureateEntry] = {}
        self.count: int | None = None  # the number of laureates that the API states
        self.listed: PrizeList | None = None
        self.seen: set[tuple[str, int, str]] = set()

    async def start(self) -> AsyncIterator[Request]:
        """Request the list page first; the API's responses are compared with it."""
        yield self._request(urljoin(self.options.site, self.options.list_path), self.parse_list, "list")

    def parse_list(self, response: Response) -> Yielded:
        """Store the list page and request the API."""
        self.listed = PrizeList(_decoded(response), response.url)
        try:
            self.logger.info("%d facts pages on the list page", len(self.listed.facts))
        except NotFound as error:
            yield self._fault("list", response.url, str(error))
        yield self._api_request(0)

    def parse_api(self, response: Response, offset: int) -> Yielded:
        """Read one response of the API and request the next by offset and count, never by `links.next`."""
        answer = LaureatesResponse(_decoded(response), response.url)
        known = len(self.laureates)
        try:
            self.laureates |= {entry.id: entry for entry in answer.entries}
        except NotFound as error:
            yield self._fault("api", response.url, str(error))
        for problem in answer.problems:
            yield self._fault("api", response.url, problem)
        reached, self.count = offset + answer.received, answer.count
        # a count may be missing or wrong, and a response shorter than requested: only a count that is reached
        # exactly, or a response without a new laureate, is the end
        if len(self.laureates) > known and reached != answer.count:
            yield self._api_request(reached)
            return
        if answer.count is not None and answer.count != len(self.laureates):
            wrong = f"meta.count says {answer.count} laureates, {len(self.laureates)} came"
            yield self._fault("api", response.url, wrong)
        yield from self._visits()

    def _visits(self) -> Yielded:
        """Requests of facts pages, newest first: those of the API, and those on the list page only."""
        yield from self._cross_check()
        visits: dict[tuple[int, str, str], tuple[PrizeEntry, LaureateEntry | None]] = {}
        claimed = {page_key(p.facts) for e in self.laureates.values() for p in e.prizes if p.facts}
        for entry in self.laureates.values():
            if entry.organisation:
                yield Skipped(f"{entry.name} ({entry.id})", "an organisation has no portrait")
                continue
            for prize in entry.prizes:
                if reason := self.options.excludes(prize.year, prize.category):
                    yield Excluded(reason, prize.year, prize.category)
                elif prize.facts is not None:
                    visits[-prize.year, prize.facts, prize.category] = (prize, entry)
        for address, prize in self._listed().items():
            if page_key(address) in claimed:
                continue
            if reason := self.options.excludes(prize.year, prize.category):
                yield Excluded(reason, prize.year, prize.category)
            else:
                visits[-prize.year, address, prize.category] = (prize, None)
        order = sorted(visits)
        for year, _, category in order[self.options.limit :] if self.options.limit else ():
            yield Excluded("crawl.limit", -year, category)
        order = order[: self.options.limit]
        emit("pages", total=len(order))
        for visit in order:
            prize, laureate = visits[visit]
            yield self._request(visit[1], self.parse_facts, "page", prize=prize, entry=laureate)

    def parse_facts(self, response: Response, prize: PrizeEntry, entry: LaureateEntry | None) -> Yielded:
        """Read a facts page and request its picture, when pictures of its kind are wanted."""
        emit("page")
        page = FactsPage(_decoded(response), response.url, expected=entry.id if entry else None)
        if reason := _refusal(response) or page.refusal:
            yield Skipped(self.options.public(response.url), f"the site does not allow its use ({reason})")
            return
        try:
            identity = page.id
            if entry is not None and entry.id != identity:
                reason = f"the page is about laureate {identity}, the API linked it for {entry.id}"
                yield self._fault("page", response.url, reason)
                return
            entry = entry or self.laureates.get(identity)
            if entry is not None and entry.organisation:
                yield Skipped(f"{entry.name} ({identity})", "an organisation has no portrait")
                return
            credit, image = page.credit, page.image
        except NotFound as error:
            yield self._fault("page", response.url, str(error))
            return
        if (identity, prize.year, prize.category) in self.seen:
            yield Skipped(response.url, f"a second page about {identity}, {prize.year}, {prize.category}")
            return
        self.seen.add((identity, prize.year, prize.category))
        kind = self.options.kind(credit)
        portrait: dict[str, Any] = {
            "id": identity,
            "name": (entry.name if entry else "") or page.name,
            "gender": entry.gender if entry else None,
            "year": prize.year,
            "category": prize.category,
            "page": self.options.public(response.url),
            "image": self.options.public(image),
            "credit": credit,
            "kind": kind,
        }
        if kind in self.options.kinds:
            yield self._request(image, self.parse_picture, "picture", portrait=portrait)
        else:
            yield Portrait(**portrait, body=None)

    def parse_picture(self, response: Response, portrait: dict[str, Any]) -> Yielded:
        """Yield the portrait with its bytes as received."""
        emit("picture")
        if reason := _refusal(response):
            what = f"the portrait on {portrait['page']}"
            yield Skipped(what, f"the site does not allow its use ({reason})")
            return
        yield Portrait(**portrait, body=response.body)

    def failed(self, failure: Failure) -> Yielded:
        """Yield the fault of a failed request, and continue."""
        request: Request = failure.request  # Scrapy puts it there
        about = request.meta["about"]
        first = request.meta.get("redirect_urls", [request.url])[0]  # the address before redirects
        reason = reason_of(failure.value)
        if about == "picture":
            reason = f"the portrait on {request.cb_kwargs['portrait']['page']}: {reason}"
        yield self._fault(about, first, reason)
        if about == "list":
            yield self._api_request(0)
        elif about == "api":
            onward = request.cb_kwargs["offset"] + self.options.page_size
            if onward < (self.count or 0):
                yield self._api_request(onward)
            else:
                yield from self._visits()  # with the laureates so far, and the list page
        elif about in ("page", "picture"):
            emit(about)

    def _cross_check(self) -> Yielded:
        """Compare the API with the list page: pages missing on either side, counts and years."""
        listed = self._listed()
        if self.listed is None or not listed:
            return
        prizes = [prize for entry in self.laureates.values() for prize in entry.prizes]
        linked = {page_key(prize.facts): prize.facts for prize in prizes if prize.facts}
        there = {page_key(address): address for address in listed}
        for page in sorted(linked.keys() - there.keys()):
            yield self._fault("check", linked[page], "linked by the API, not on the list page")
        for page in sorted(there.keys() - linked.keys()):
            yield self._fault("check", there[page], "on the list page, not linked by the API")
        awarded = len({(prize.year, prize.category) for prize in prizes})
        counts, years = self.listed.counts, self.listed.years
        # some sites count a person once for every prize, some once for all of them
        if counts is not None and counts not in ((awarded, len(prizes)), (awarded, len(self.laureates))):
            counted = " to ".join(map(str, counts))
            reason = f"the list page counts {counted} prizes and people, the API {awarded} to {len(prizes)}"
            yield self._fault("check", self.listed.address, reason)
        first, last = min((p.year for p in prizes), default=0), max((p.year for p in prizes), default=0)
        if years is not None and years != (first, last):
            reason = f"the list page gives the years {years[0]} to {years[1]}, the API {first} to {last}"
            yield self._fault("check", self.listed.address, reason)

    def _listed(self) -> dict[str, PrizeEntry]:
        """The facts pages on the list page; none when it could not be read."""
        try:
            return self.listed.facts if self.listed else {}
        except NotFound:
            return {}

    def _api_request(self, offset: int) -> Request:
        """A request of laureates from `offset` on, always to the API's own address."""
        address = f"{self.options.api}/laureates?offset={offset}&limit={self.options.page_size}"
        return self._request(address, self.parse_api, "api", offset=offset)

    def _request(self, address: str, callback: Any, about: str, **arguments: Any) -> Request:
        """A request; pictures have priority over the next page."""
        return Request(
            address,
            callback=callback,
            errback=self.failed,
            cb_kwargs=arguments,
            meta={"about": about},
            priority=1 if about == "picture" else 0,
            dont_filter=True,
        )

    def _fault(self, about: str, address: str, reason: str) -> Fault:
        """A fault, with addresses as the outputs give them."""
        public = self.options.public
        return Fault(about, public(address), reason.replace(self.options.site, public(self.options.site)))


def _refusal(response: Response) -> str | None:
    """The directive in a response's headers against our use of it; None without one."""
    robots, reserved = (
        [value.decode("latin-1") for value in response.headers.getlist(name)] for name in REFUSING
    )
    return site_rules.refusal(robots, reserved)


def reason_of(error: BaseException) -> str:
    """The reason of a failed request as a short text."""
    if isinstance(error, HttpError):
        return f"HTTP status {error.response.status}"
    if isinstance(error, IgnoreRequest):
        return str(error) or "refused by the crawler"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _decoded(response: Response) -> str:
    """The body as text, in its declared encoding, else UTF-8 with replacement characters."""
    try:
        return response.text
    except (AttributeError, LookupError):  # a binary response has no `text`
        return response.body.decode("utf-8", errors="replace")
