"""Serve the museum of invented laureates over HTTP on loopback.

Portraits are drawn when they are first asked for. `opened` is the museum for a crawl or a test, `serve` for a
person with a browser.
"""

import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from laureate.core.errors import LaureateError
from laureate.simulator.museum import api, pages
from laureate.simulator.museum.collection import Laureate, Portrait, collection

PORT = 8000
SIZE = (496, 744)  # width, height: what the real site calls portrait-medium
QUALITY = 92
ROBOTS = "User-agent: *\nDisallow: /admin/\n"
JSON, HTML = "application/json; charset=utf-8", "text/html; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """A response: HTTP status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Museum:
    """The museum's paths and pages. Calling it answers one request, without a network."""

    people: Sequence[Laureate]
    pictures: dict[str, Portrait] = field(init=False)
    facts: dict[str, str] = field(init=False)
    _drawn: dict[str, bytes] = field(init=False, default_factory=dict)
    _drawing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        awards = [(person, prize) for person in self.people for prize in person.prizes]
        self.pictures = {pages.image_path(p): p.portrait for _, p in awards if p.portrait is not None}
        self.facts = {api.facts_path(*award): pages.facts(*award) for award in awards}

    def __call__(self, target: str, host: str) -> Answer:
        """Answer a GET of `target` (path and query); `host` is used in the API's links."""
        parts = urlsplit(target)
        path, query = parts.path, dict(parse_qsl(parts.query))
        if path in self.pictures:
            return _answer(self.picture(path), "image/jpeg")
        if path in self.facts:
            return _answer(self.facts[path], HTML)
        routes: dict[str, Callable[[], Answer]] = {
            "/": lambda: _answer(pages.home(self.people), HTML),
            "/robots.txt": lambda: _answer(ROBOTS, "text/plain; charset=utf-8"),
            "/style.css": lambda: _answer(pages.STYLE.read_text(), "text/css; charset=utf-8"),
            pages.LIST_PATH: lambda: _answer(pages.prize_list(self.people), HTML),
            "/2.1/laureates": lambda: _api(api.laureates, self.people, query, host),
            "/2.1/nobelPrizes": lambda: _api(api.prizes, self.people, query, host),
        }
        if path in routes:
            return routes[path]()
        return _answer(pages.missing(), HTML, HTTPStatus.NOT_FOUND)

    def picture(self, path: str) -> bytes:
        """The JPEG at `path`, drawn once."""
        with self._drawing:
            if path not in self._drawn:
                self._drawn[path] = drawn(self.pictures[path])
            return self._drawn[path]


def drawn(portrait: Portrait, size: tuple[int, int] = SIZE) -> bytes:
    """A portrait as JPEG bytes, `size` (width, height) pixels; the same portrait gives the same bytes."""
    from laureate.simulator.portraits.portrait import draw

    picture = draw(portrait.attributes, portrait.style, portrait.seed, size)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


@contextmanager
def opened(
    people: Sequence[Laureate] | None = None,
    port: int = 0,
    handler: "type[Handler] | None" = None,
) -> Iterator[str]:
    """Serve the museum on loopback while the block runs; gives its address, `http://127.0.0.1:PORT`.

    `people` defaults to the whole collection, `port` 0 takes a free one, and another `handler` may answer
    some requests in its own way. Raises LaureateError when the port is taken.
    """
    museum = Museum(collection() if people is None else people)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(handler or Handler, museum))
    except OSError as error:
        raise LaureateError(
            f"port {port} on loopback is not free ({error.strerror}): choose another"
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """HTTP request handler of the museum."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, museum: Museum, *arguments: Any) -> None:
        self.museum = museum
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer GET."""
        self.send(self.museum(self.path, self.headers.get("Host", "127.0.0.1")))

    def do_HEAD(self) -> None:
        """Answer HEAD: what GET would, without the body."""
        self.do_GET()

    def send(self, answer: Answer) -> None:
        """Send a response, or 304 when the client has these bytes already."""
        tag = answer.headers.get("ETag")
        known = tag is not None and self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not known and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if not known and self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the crawler reports its requests."""

    def handle(self) -> None:
        """Handle requests until the client closes the connection, in any way."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


def _api(
    rows: Callable[[Sequence[Laureate], Mapping[str, str], str], dict[str, Any]],
    people: Sequence[Laureate],
    query: Mapping[str, str],
    host: str,
) -> Answer:
    """A response of the API; status 400 for an invalid query."""
    try:
        return _answer(dumps(rows(people, query, host), ensure_ascii=False), JSON)
    except ValueError as error:
        return _answer(dumps({"code": 400, "message": str(error)}), JSON, HTTPStatus.BAD_REQUEST)


def _answer(body: str | bytes, kind: str, status: int = HTTPStatus.OK) -> Answer:
    """A body with its headers; the ETag is a hash of the body."""
    data = body.encode() if isinstance(body, str) else body
    return Answer(status, {"Content-Type": kind, "ETag": f'"{hashlib.sha256(data).hexdigest()[:20]}"'}, data)
