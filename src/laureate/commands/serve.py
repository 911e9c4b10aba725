"""`laureate serve`: serve the study's base and adapters behind OpenAI's images API.

POST /v1/images/generations (prompt, model, n, size; `seed` is an extension) and GET /v1/models.
"""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from laureate import __version__
from laureate.config.params import Params
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from laureate.sampling.generator import Generator

KEY = "LAUREATE_KEY"  # environment variable; if set, clients must send its value as their key
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


class RequestError(Exception):
    """An error in a request, answered in the API's error format."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        kind = {401: "authentication_error", 500: "server_error"}.get(status, "invalid_request_error")
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def run(params: Params, host: str, port: int) -> None:
    """Serve until interrupted. Raises LaureateError for an invalid base, a port in use, a missing package."""
    import socket

    try:
        import uvicorn
    except ImportError:
        raise LaureateError("serving needs fastapi and uvicorn: pip install 'laureate[serve]'") from None
    from laureate.sampling.generator import Generator

    app = build(Generator(params))
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise LaureateError(f"{host}:{port} is not available: {error.strerror or error}") from None
    with listening:
        address, at = listening.getsockname()[:2]
        print(f"http://{address}:{at}/v1 serves the images API; stop it with Ctrl-C", flush=True)
        if not address.startswith("127.") and not os.environ.get(KEY):
            print(f"everyone who can reach {host} can draw: set {KEY} to require a key", file=sys.stderr)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def build(studio: Generator) -> FastAPI:
    """The web application that draws with `studio`."""
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    app = FastAPI(title="laureate", version=__version__, docs_url=None, redoc_url=None)

    def answer(error: RequestError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(RequestError)
    async def request_error(_: Request, error: RequestError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return answer(RequestError(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or None
        return answer(RequestError(400, f"{name or 'the body'}: {first['msg']}", "invalid_value", name))

    @app.exception_handler(LaureateError)
    async def server_error(_: Request, error: LaureateError) -> JSONResponse:
        return answer(RequestError(500, str(error)))

    @app.middleware("http")
    async def check_key(request: Request, proceed: Any) -> Any:
        wanted = os.environ.get(KEY)
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if wanted and not secrets.compare_digest(sent.encode(), wanted.encode()):
            return answer(RequestError(401, "Incorrect API key provided.", "invalid_api_key"))
        return await proceed(request)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [_card(name) for name in studio.models]}

    @app.get("/v1/models/{name}")
    def model(name: str) -> dict[str, Any]:
        _known(studio, name)
        return _card(name)

    @app.post("/v1/images/generations")
    def generate(body: Generation) -> dict[str, Any]:
        _known(studio, body.model)
        size = _size(body.size, studio)
        first = secrets.randbelow(2**31) if body.seed is None else body.seed
        seeds = [(first + i) % 2**32 for i in range(body.n)]
        drawn = studio.draw(body.model, body.prompt, seeds, size)
        return {
            "created": int(time.time()),
            "size": f"{size[0]}x{size[1]}",
            "output_format": "png",
            "data": [
                {"b64_json": _png(picture), "revised_prompt": body.prompt, "seed": seed}
                for picture, seed in zip(drawn, seeds, strict=True)
            ],
        }

    return app


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


def _png(picture: Any) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode("ascii")
