"""`laureate serve`: serve the study's base and adapters behind OpenAI's images API.

POST /v1/images/generations (prompt, model, n, size; `seed` is an extension), POST /v1/images/edits (a photo
in a form, see `serve_edits`) and GET /v1/models.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
import sys
import time
from secrets import randbelow as random_below
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from laureate import __version__
from laureate.commands.serve_limits import EDITS, Guard, Queue, RequestError, configuration
from laureate.config.params import Params
from laureate.core import secrets
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from laureate.sampling.generator import Generator

KEY = "LAUREATE_KEY"  # environment variable; if set, clients must send its value as their key
CURE = f"set {KEY} to a key that clients must send"
MAX_PICTURES = 4  # in one request
MAX_LETTERS = 2000  # of a prompt
MAX_SIDE = 1024  # pixels


class Generation(BaseModel):
    """The body of a request; other keys of the API are ignored, as other servers do."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = Field(min_length=1, max_length=MAX_LETTERS)
    model: str = "baseline"
    n: int = Field(1, ge=1, le=MAX_PICTURES)
    size: str = Field("auto", pattern=r"^([0-9]{1,5}x[0-9]{1,5}|auto)$")
    seed: int | None = Field(None, ge=0, lt=2**32)
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png"] = "png"
    stream: Literal[False] = False

    @model_validator(mode="before")
    @classmethod
    def null_is_absent(cls, value: Any) -> Any:
        """Drop keys with null, which many clients send for what is not set."""
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value

    @field_validator("prompt")
    @classmethod
    def has_words(cls, value: str) -> str:
        """Refuse a prompt of spaces."""
        if not value.strip():
            raise ValueError("it is empty")
        return value


def run(params: Params, host: str, port: int) -> None:
    """Serve until interrupted.

    Raises LaureateError for an invalid base, a port in use, a missing package, and for a host other than
    loopback without a key.
    """
    try:
        import python_multipart  # noqa: F401  # what starlette reads forms with
        import uvicorn
    except ImportError:
        raise LaureateError("serving needs fastapi and uvicorn: pip install 'laureate[serve]'") from None
    from laureate.sampling.generator import Generator

    key = secrets.from_environment(KEY)
    with listen(host, port, key is not None) as listening:
        app = build(Generator(params), key)
        print(f"{address_of(listening)}/v1 serves the images API; stop it with Ctrl-C", flush=True)
        if not is_loopback(listening):
            print(f"everyone who can reach {host} and has the key can draw", file=sys.stderr)
        uvicorn.Server(configuration(app)).run(sockets=[listening])


def listen(host: str, port: int, has_key: bool, cure: str = CURE) -> socket.socket:
    """A socket that listens. Raises LaureateError where that is not possible or would be open to everyone.

    `cure`: what to do where a host other than loopback lacks a key, as the end of a sentence.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not ipaddress.ip_address(address[0]).is_loopback and not has_key:
            raise LaureateError(f"{host} is not loopback, so others could draw: {cure}")
        return socket.create_server((str(address[0]), port), family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LaureateError(f"{host}:{port} is not available: {reason}; choose another --port") from None


def address_of(listening: socket.socket) -> str:
    """The address of a socket for a browser, such as http://127.0.0.1:8765."""
    address, at = listening.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{at}"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can reach a socket."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def build(studio: Generator, key: secrets.Secret | None = None) -> Guard:
    """The web application that draws with `studio`; clients must send `key` if there is one."""
    from fastapi import FastAPI, Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    from laureate.commands import serve_edits
    from laureate.img2img.generator import PortraitGenerator

    portraits = PortraitGenerator(studio.params, found=studio.found)
    app = FastAPI(title="laureate", version=__version__, docs_url=None, redoc_url=None)
    queue, megabytes = Queue(), studio.params.crawl.megabytes

    def answer(error: RequestError) -> JSONResponse:
        return JSONResponse(error.body, error.status, headers=error.headers)

    @app.exception_handler(RequestError)
    async def request_error(_: Request, error: RequestError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(serve_edits.BadForm)
    async def bad_form(_: Request, error: serve_edits.BadForm) -> JSONResponse:
        return answer(RequestError(error.status, error.message, error.code, error.param))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return answer(RequestError(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return answer(RequestError(400, f"the body is not JSON: {first['msg']}", "invalid_json"))
        name = ".".join(str(part) for part in first["loc"][1:]) or None
        return answer(RequestError(400, f"{name or 'the body'}: {first['msg']}", "invalid_value", name))

    @app.exception_handler(LaureateError)
    async def server_error(_: Request, error: LaureateError) -> JSONResponse:
        return answer(RequestError(500, str(error)))

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [_card(name) for name in studio.models]}

    @app.get("/v1/models/{name}")
    def model(name: str) -> dict[str, Any]:
        _known(studio, name)
        return _card(name)

    async def generate(body: Generation, request: Request) -> dict[str, Any]:
        _known(studio, body.model)
        size = _size(body.size, studio)
        first = random_below(2**31) if body.seed is None else body.seed
        seeds = [(first + i) % 2**32 for i in range(body.n)]
        async with queue.turn(request.is_disconnected):
            return await run_in_threadpool(_drawn, studio, body, seeds, size)

    async def edit(request: Request) -> JSONResponse:
        photo, form = await serve_edits.read(request.headers, request.stream(), megabytes)
        _known(studio, form.model or portraits.default)
        width, height = _size(form.size, studio)
        if width != height:
            raise RequestError(400, f"size: portraits are square, got {form.size}", "invalid_size", "size")
        first = random_below(2**31) if form.seed is None else form.seed
        async with queue.turn(request.is_disconnected):
            drawn = await run_in_threadpool(serve_edits.draw, portraits, photo, form, width, first)
        data = [
            {
                "b64_json": base64.b64encode(portrait.png()).decode("ascii"),
                "revised_prompt": portrait.record["prompt"],
                "seed": portrait.record["seed"],
                "strength": portrait.record["strength"],
            }
            for portrait in drawn
        ]
        made = {"created": int(time.time()), "size": f"{width}x{height}", "output_format": "png"}
        return JSONResponse(made | {"data": data})

    # a plain route: FastAPI's own form parsing would put a photo into a temporary file
    app.add_route(EDITS, edit, methods=["POST"])
    # FastAPI looks annotations up in the module, which does not import Request
    generate.__annotations__["request"] = Request
    app.post("/v1/images/generations")(generate)
    return Guard(app, key, megabytes)


def _drawn(studio: Generator, body: Generation, seeds: list[int], size: tuple[int, int]) -> dict[str, Any]:
    """Draw, in a thread => the answer. `warning` says what was not read of the prompt, if anything."""
    read, cut = studio.read(body.prompt)
    pictures = studio.draw(body.model, body.prompt, seeds, size)
    warning = {} if cut is None else {"warning": cut}
    return {
        "created": int(time.time()),
        "size": f"{size[0]}x{size[1]}",
        "output_format": "png",
        **warning,
        "data": [
            {
                "b64_json": base64.b64encode(studio.png(picture, body.model, body.prompt, seed)).decode(
                    "ascii"
                ),
                "revised_prompt": read,
                "seed": seed,
            }
            for picture, seed in zip(pictures, seeds, strict=True)
        ],
    }


def _known(studio: Generator, name: str) -> None:
    if name not in studio.models:
        known = ", ".join(studio.models)
        raise RequestError(
            404, f"The model '{name}' does not exist; there are {known}.", "model_not_found", "model"
        )


def _size(text: str, studio: Generator) -> tuple[int, int]:
    """`256x128` => (256, 128); `auto` is the study's size. Raises RequestError if it cannot be drawn."""
    if text == "auto":
        return studio.params.drawn_at, studio.params.drawn_at
    match = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    unit, most = studio.multiple, max(MAX_SIDE, studio.params.drawn_at)
    if not all(0 < side <= most and side % unit == 0 for side in (width, height)):
        raise RequestError(
            400,
            f"size: both sides must be multiples of {unit} up to {most}, got {text}",
            "invalid_size",
            "size",
        )
    return width, height


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "laureate"}
