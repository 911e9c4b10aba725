"""Limits of `laureate serve`: time and size of a request, its key, the queue of drawings.

A slow or broken client costs one open connection for some seconds, and never a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from laureate.core import failures
from laureate.core.secrets import Secret

if TYPE_CHECKING:
    from asyncio import TimerHandle

EDITS = "/v1/images/edits"  # its body is a form with a photo
MAX_BODY = 200_000  # bytes, of JSON
HEADER_SECONDS = 10.0  # from the connection, or from the first byte of a later request, to the last header
BODY_SECONDS = 10.0
FORM_SECONDS = 60.0
WRITE_SECONDS = 30.0  # for which a client may read nothing of an answer
MAX_WAITING = 64  # drawings that wait for their turn
GONE_SECONDS = 0.5  # between two looks whether a waiting client is still there
RETRY_AFTER = 5  # seconds, told where the queue is full
MAX_CONNECTIONS = 1000


class RequestError(Exception):
    """An error in a request, answered in the API's error format."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        kind = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error"}
        error = kind.get(status, "invalid_request_error")
        self.status = status
        self.body = {"error": {"message": message, "type": error, "param": param, "code": code}}
        self.headers = {"Retry-After": str(RETRY_AFTER)} if status == 429 else {}


class Queue:
    """One drawing at a time, in the order of arrival; a client that does not find room is sent away."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most, self._waiting, self._turn = most, 0, asyncio.Lock()

    @asynccontextmanager
    async def turn(self, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """Wait for the turn. Raises RequestError (429) if too many wait already.

        A client that is `gone` leaves its place to others (RequestError 499, which nobody reads).
        """
        if self._turn.locked():
            await self._wait(gone)
        else:
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    async def _wait(self, gone: Callable[[], Awaitable[bool]]) -> None:
        """Acquire the turn behind those who wait already."""
        if self._waiting >= self._most:
            raise RequestError(429, "Too many requests wait; try again later.", "rate_limit_exceeded")
        self._waiting += 1
        turn = asyncio.ensure_future(self._turn.acquire())
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=GONE_SECONDS)
                if await gone():
                    raise RequestError(499, "the client went away")
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._turn.release()
            turn.cancel()
            raise
        finally:
            self._waiting -= 1


class Guard:
    """ASGI middleware: checks the key, then reads the whole body within its limits, then calls `app`.

    An unexpected error of `app` is logged to a file and named on stderr.
    """

    def __init__(self, app: Any, key: Secret | None, megabytes: float) -> None:
        self.app, self.key, self.megabytes = app, key, megabytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noted(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check_key(scope)
            if scope["path"] == EDITS:
                body = await _body(scope, receive, int(self.megabytes * 1e6), FORM_SECONDS)
            else:
                body = await _body(scope, receive, MAX_BODY, BODY_SECONDS)
                _check_kind(scope, body)
        except RequestError as error:
            await _answer(error, send)
            return
        if body is None:  # the client went away
            return
        try:
            await self.app(scope, _replayed(body, receive), noted)
        except Exception as error:  # noqa: BLE001  # the one door for errors of a server
            failures.report(error, "serve", ["serve"])
            if not started:
                await _answer(RequestError(500, "unexpected error; the server's log has more"), send)

    def _check_key(self, scope: Any) -> None:
        """Raise RequestError (401) unless the request has the key, if there is one."""
        if self.key is None:
            return
        sent = _header(scope, b"authorization")
        scheme, _, value = sent.strip().partition(" ")
        if scheme.lower() != "bearer" or not self.key.matches(value.strip()):
            raise RequestError(401, "Incorrect API key provided.", "invalid_api_key")


async def _body(scope: Any, receive: Any, limit: int, seconds: float) -> bytes | None:
    """The body of a request; None if the client went away. Raises RequestError for too large or too slow."""
    param = "image" if scope["path"] == EDITS else None
    too_large = RequestError(413, f"the body has more than {limit / 1e6:g} MB", "too_large", param)
    length = _header(scope, b"content-length")
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise too_large
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {seconds:g} seconds") from None
    return b"".join(parts)


def _check_kind(scope: Any, body: bytes | None) -> None:
    """Raise RequestError (415) for a body that is not sent as JSON."""
    if scope["method"] != "POST" or not body:
        return
    kind = _header(scope, b"content-type").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        got = f"got {kind[:60]!r}" if kind else "it is missing"
        raise RequestError(
            415, f"send the body as JSON with the header Content-Type: application/json ({got})"
        )


def _replayed(body: bytes, receive: Any) -> Any:
    """A `receive` that gives the body once, then what follows: that the client went away."""
    given = False

    async def replay() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _answer(error: RequestError, send: Any) -> None:
    """Send an error and close the connection, whose body may not have been read."""
    content = json.dumps(error.body).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Connection": "close",
        **error.headers,
    }
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


def _header(scope: Any, name: bytes) -> str:
    """The first value of a header, or ''."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def configuration(app: Any) -> Any:
    """uvicorn's configuration with limits on every connection."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Limited(H11Protocol):
        """Closes a connection whose headers come too slowly, or whose client does not read the answer."""

        _head: TimerHandle | None = None
        _write: TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
                return
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for timer in (self._head, self._write):
                if timer is not None:
                    timer.cancel()
            self._head = self._write = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write = self._write or self.loop.call_later(WRITE_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._write is not None:
                self._write.cancel()
                self._write = None

        def _watch(self) -> None:
            """Start the time for headers where none is under way; stop it where a request is."""
            idle = self.cycle is None or self.cycle.response_complete
            if idle and self._head is None:
                self._head = self.loop.call_later(HEADER_SECONDS, self._late)
            elif not idle and self._head is not None:
                self._head.cancel()
                self._head = None

        def _late(self) -> None:
            self._head = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return uvicorn.Config(
        app,
        http=Limited,
        ws="none",
        log_level="warning",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
