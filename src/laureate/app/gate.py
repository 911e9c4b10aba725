"""Who may use the app: browsers with the token, or on loopback under a known host name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from laureate.core.secrets import Secret

COOKIE = "laureate-app"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# the browser itself then refuses to ask any other host, whatever a library may try
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>laureate: token</title><style>
body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:4rem auto}}
input,button{{font:inherit;padding:.4rem .6rem}}</style>
<main><h1>laureate</h1><p>{0}</p>
<form><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off">
<button>Open</button></form></main></html>"""

Send = Callable[[Any], Awaitable[None]]


class Gate:
    """ASGI middleware. `token` None: whoever reaches the app may use it, by a name of loopback only."""

    def __init__(self, app: Any, token: Secret | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # the app has no websockets
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Any, receive: Any, send: Send) -> None:
        headers = dict(scope["headers"])
        if self.token is None:
            if _host(headers) not in LOOPBACK:  # a page of another site, whose name was made to lead here
                await _answer(send, 403, "This app answers to localhost and 127.0.0.1 only.")
                return
        else:
            shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if self.token.matches(shown):
                path = scope["path"].encode("ascii", "ignore") or b"/"
                cookie = f"{COOKIE}={self._cookie()}; HttpOnly; SameSite=Strict; Path=/".encode()
                await _answer(send, 303, "", {b"location": path, b"set-cookie": cookie})
                return
            if not self._known(headers):
                wrong = "The token is another one." if shown else "Type the token of this app."
                await _answer(send, 401, PAGE.format(wrong))
                return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message.get("headers", [])}
                more = [(name, value) for name, value in HEADERS.items() if name not in there]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _cookie(self) -> str:
        assert self.token is not None
        return sha256(b"laureate app\0" + self.token.reveal().encode()).hexdigest()

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        try:
            found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and compare_digest(self._cookie(), found.value)


def _host(headers: dict[bytes, bytes]) -> str:
    """The name in the Host header, without the port."""
    try:
        return urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


async def _answer(send: Send, status: int, text: str, more: dict[bytes, bytes] | None = None) -> None:
    body = text.encode()
    headers = {b"content-type": b"text/html; charset=utf-8", b"content-length": str(len(body)).encode()}
    pairs = list((headers | HEADERS | (more or {})).items())
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
