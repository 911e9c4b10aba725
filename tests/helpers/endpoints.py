"""An images endpoint on loopback that does what a test tells it, request by request."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Notes every body and answers with the behaviour that the server's function picks for it."""

    protocol_version = "HTTP/1.1"
    server: "Endpoint"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers["Authorization"])
            number = sum(b["prompt"] == body["prompt"] for b in self.server.bodies)
        try:
            self.server.behave(body, number)(self, body)
        except OSError:  # the client did not wait for the end
            self.close_connection = True

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Endpoint(ThreadingHTTPServer):
    """`behave(body, number)` picks the answer to the number-th request for a prompt, from 1."""

    daemon_threads = True

    def __init__(self, behave: Callable[[dict[str, Any], int], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave, self.lock = behave, threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def endpoint(behave: Callable[[dict[str, Any], int], Answer]) -> Iterator[Endpoint]:
    """Serve while the block runs."""
    server = Endpoint(behave)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def png(colour: str = "white", side: int = 64) -> str:
    data = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def good(handler: Handler, body: dict[str, Any]) -> None:
    """A picture, and the prompt as the model has rewritten it."""
    first = {"b64_json": png("tan"), "revised_prompt": f"Revised: {body['prompt']}"}
    handler.send(200, json.dumps({"created": 1, "data": [first]}).encode())


def refuses(handler: Handler, body: dict[str, Any]) -> None:
    error = {
        "code": "content_policy_violation",
        "message": "Your request was rejected by our safety system.",
        "param": None,
        "type": "invalid_request_error",
    }
    handler.send(400, json.dumps({"error": error}).encode())


def sleeps(handler: Handler, body: dict[str, Any]) -> None:
    """No answer within a client's patience."""
    time.sleep(2.5)
    good(handler, body)


def drips(handler: Handler, body: dict[str, Any]) -> None:
    """An answer whose bytes never stop coming, each in time."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def hangs_up(handler: Handler, body: dict[str, Any]) -> None:
    handler.close_connection = True


def says(status: int, content: Any, **headers: str) -> Answer:
    """A status with JSON, or with bytes as they are."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler, body: handler.send(status, data, **headers)


def busy(handler: Handler, body: dict[str, Any]) -> None:
    error = {"code": "rate_limit_exceeded", "message": "Rate limit reached.", "type": "requests"}
    handler.send(429, json.dumps({"error": error}).encode(), retry_after_ms="20")
