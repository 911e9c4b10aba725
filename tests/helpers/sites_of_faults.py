"""A museum with faults by path, for the crawler's tests."""

import io
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from laureate.config.params import Coverage, Crawl, Params
from laureate.core.errors import LaureateError
from laureate.simulator.museum import server
from laureate.simulator.museum.api import facts_path
from laureate.simulator.museum.collection import Laureate, collection
from laureate.simulator.museum.pages import image_path
from laureate.stages import crawl

Fault = Callable[["Faulty"], None]
ANYTHING = Coverage(pages=0.0, pictures=0.0, credits=0.0)
QUICK: dict[str, Any] = {"backoff": 0.01, "timeout": 2.0, "retries": 1}


class Faulty(server.Handler):
    """Answers as the museum does, save where a fault stands for a path; writes down what was asked."""

    faults: dict[str, Fault]
    asked: list[str]
    tries: dict[str, int]

    def do_GET(self) -> None:
        """The fault of this path, or the museum's answer."""
        path = self.path.partition("?")[0]
        self.asked.append(f"{self.command} {self.path}")
        self.tries[path] = self.tries.get(path, 0) + 1
        fault = self.faults.get(path)
        fault(self) if fault else super().do_GET()

    def plain(self) -> server.Answer:
        """What the museum would have said."""
        return self.museum(self.path, self.headers["Host"])

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send any answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(server.Answer(status, named, body))


@contextmanager
def site(
    people: Sequence[Laureate], faults: dict[str, Fault] | None = None
) -> Iterator[tuple[str, type[Faulty]]]:
    """Serve `people` with `faults` by path; gives the address and the handler, which holds the log."""
    known = {} if faults is None else faults  # the caller's own, who may change it on the way
    handler = type("Handler", (Faulty,), {"faults": known, "asked": [], "tries": {}})
    with server.opened(people, handler=handler) as address:
        yield address, handler


def few(count: int = 8) -> list[Laureate]:
    """`count` people whose one portrait is a drawing, newest last."""
    drawn = [p for p in collection() if p.gender and len(p.prizes) == 1 and "Ill." in portrait_of(p).credit]
    return drawn[-count:]


def portrait_of(person: Laureate) -> Any:
    """The portrait of a person's first prize."""
    return person.prizes[0].portrait


def key(person: Laureate) -> str:
    """The stem of a portrait's file."""
    prize = person.prizes[0]
    return f"{person.id}-{prize.year}-{prize.category}"


def crawled(
    address: str, out: Path, api: str | None = None, **wanted: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run the stage on a site; gives the manifest's rows and the report."""
    params = Params(crawl=Crawl(**({"coverage": ANYTHING} | QUICK | wanted)))
    crawl.run(params, site=address, api=api or f"{address}/2.1", out=out)
    rows = [json.loads(line) for line in (out / "portraits.jsonl").read_text(encoding="utf-8").splitlines()]
    return rows, report_of(out)


def report_of(out: Path) -> dict[str, Any]:
    """The report beside an output."""
    report: dict[str, Any] = json.loads((out.parent / "crawl_report.json").read_text(encoding="utf-8"))
    return report


def picture_bytes(
    size: tuple[int, int] = (40, 60), form: str = "JPEG", mode: str = "RGB", **options: Any
) -> bytes:
    """A small picture of noise in a file format."""
    buffer = io.BytesIO()
    noise = Image.effect_noise(size, 90)
    image = Image.new(mode, size, 1000) if mode == "I;16" else noise.convert(mode)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def status(code: int, **headers: str) -> Fault:
    """Always this status."""
    return lambda handler: handler.say(code, b"no", **headers)


def first(fault: Fault, times: int = 1) -> Fault:
    """The fault, `times` times; then the museum's answer."""

    def act(handler: Faulty) -> None:
        early = handler.tries[handler.path.partition("?")[0]] <= times
        fault(handler) if early else handler.send(handler.plain())

    return act


def body(data: bytes, kind: str = "image/jpeg") -> Fault:
    """Status 200 and these bytes."""
    return lambda handler: handler.say(200, data, Content_Type=kind)


def edited(change: Callable[[str], str]) -> Fault:
    """The museum's page or answer, changed."""

    def act(handler: Faulty) -> None:
        answer = handler.plain()
        handler.say(200, change(answer.body.decode()).encode(), Content_Type=answer.headers["Content-Type"])

    return act


def to(address: str) -> Fault:
    """A redirect."""
    return lambda handler: handler.say(302, Location=address)


def reset(handler: Faulty) -> None:
    """Break the connection off (RST)."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silent(handler: Faulty) -> None:
    """Say nothing for longer than anyone waits."""
    time.sleep(2.5)
    handler.close_connection = True


def drip(handler: Faulty) -> None:
    """A byte now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(30):
        handler.wfile.write(b"x")
        time.sleep(0.1)
    handler.close_connection = True


def short(handler: Faulty) -> None:
    """Fewer bytes than Content-Length says."""
    handler.say(200, b"\xff\xd8 too short", Content_Type="image/jpeg", Content_Length="5000")
    handler.close_connection = True


def page(person: Laureate) -> str:
    """Path of a person's facts page."""
    return facts_path(person, person.prizes[0])


def image(person: Laureate) -> str:
    """Path of a person's portrait."""
    return image_path(person.prizes[0])


def same_bytes(one: Path, two: Path) -> bool:
    """Whether two folders hold the same files."""
    names = sorted(p.name for p in one.iterdir())
    return names == sorted(p.name for p in two.iterdir()) and all(
        (one / name).read_bytes() == (two / name).read_bytes() for name in names
    )


def fails(sentence: str, address: str, folder: Path, **wanted: Any) -> None:
    """A crawl that must end with this sentence."""
    with pytest.raises(LaureateError, match=sentence):
        crawled(address, folder / "raw", **wanted)
