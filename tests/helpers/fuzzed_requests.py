"""HTTP requests to `laureate serve`, without a network and without models: what a client may send at all."""

import asyncio
import contextlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import spoilt_inputs
from hypothesis import strategies as st
from PIL import Image
from spoilt_inputs import Bytes, spoilt, structured

from laureate.commands import serve
from laureate.config.params import Params
from laureate.core.secrets import Secret

KEY = "a-key-of-the-server-1"
HEAD = (
    f"POST /v1/images/generations\nauthorization: Bearer {KEY}\ncontent-type: application/json\n\n".encode()
)
BODY = b'{"prompt": "A man.", "model": "baseline", "n": 2, "size": "64x64", "seed": 1, "stream": false}'
KEYS = ["prompt", "model", "n", "size", "seed", "response_format", "output_format", "stream", "user"]
FORM = (
    f"POST /v1/images/edits\nauthorization: bearer {KEY}\ncontent-type: multipart/form-data; boundary=b\n\n"
    '--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
).encode() + spoilt_inputs.PICTURES[1] + (
    b'\r\n--b\r\nContent-Disposition: form-data; name="strength"\r\n\r\n0.5\r\n--b--\r\n'
)  # fmt: skip
LIST = f"GET /v1/models/baseline\nauthorization: Bearer {KEY}\n\n".encode()


class Refused(Exception):
    """The server answered with an error status."""


class Studio:
    """A generator with one model that draws white pictures."""

    params, found, models, multiple = Params(), None, ["baseline"], 8

    def read(self, text: str) -> tuple[str, None]:
        return text, None

    def draw(self, model: str, text: str, seeds: list[int], size: tuple[int, int]) -> list[Image.Image]:
        return [Image.new("RGB", size, "white") for _ in seeds]

    def png(self, picture: Image.Image, model: str, text: str, seed: int) -> bytes:
        return b"PNG"


def requests() -> Bytes:
    """Good requests, spoilt at random, and bodies of any JSON."""
    bodies = structured(KEYS) | st.just(BODY)
    return spoilt(HEAD + BODY, FORM, LIST) | bodies.map(lambda body: HEAD + body)


@cache
def _server() -> tuple[asyncio.AbstractEventLoop, Any]:
    studio: Any = Studio()
    return asyncio.new_event_loop(), serve.build(studio, Secret(KEY))


def send(data: bytes, _: Path) -> dict[str, Any]:
    """Send one request, "METHOD PATH", header lines, an empty line and the body => the JSON of the answer.

    Raises Refused for an error with words of its own, AssertionError for any other answer.
    """
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, path = first.decode("latin-1").partition(" ")
    fields = [line.partition(b":") for line in lines]
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"},
        **{"method": method.strip().upper() or "GET", "path": f"/{path.lstrip('/')}", "raw_path": b"/"},
        **{"query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)},
        "headers": [(name.strip().lower(), value.strip()) for name, _, value in fields],
    }
    told: list[dict[str, Any]] = []
    parts = [body[:100], body[100:]]

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def answer(message: Any) -> None:
        told.append(message)

    loop, app = _server()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        loop.run_until_complete(app(scope, receive, answer))
    assert "Traceback" not in said.getvalue(), said.getvalue()[-1500:]
    status, content = told[0]["status"], b"".join(message.get("body", b"") for message in told[1:])
    assert KEY.encode() not in content
    if not content:
        raise Refused(str(status))
    value: dict[str, Any] = json.loads(content)
    if status == 200:
        return value
    assert "unexpected error" not in value["error"]["message"], value
    raise Refused(value["error"]["message"])
