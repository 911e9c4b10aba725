"""`laureate serve` under 50 clients, half of them slow or broken: every honest request is answered.

SERVE_SECONDS=60 in the environment makes it a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from laureate.commands import serve_limits

HONEST = BROKEN = 25
SECONDS = float(os.environ.get("SERVE_SECONDS", "4"))
# a server with shorter limits, so that some seconds show what a minute would
SERVER = """
import sys
from laureate.commands import serve_limits
serve_limits.HEADER_SECONDS = serve_limits.BODY_SECONDS = serve_limits.WRITE_SECONDS = 1.0
from laureate.cli import program
sys.argv = ["laureate", "serve", "--port", "0"]
sys.exit(program())
"""
BODY = json.dumps({"prompt": "A hat.", "size": "16x16", "seed": 1}).encode()
HEAD = b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def served(trained: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=trained, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    found = re.search(r":(\d+)/v1", process.stdout.readline())
    assert found
    yield int(found[1]), process.pid
    process.terminate()
    said = process.communicate(timeout=30)[1]
    assert "Traceback" not in said, said


def memory(process: int) -> int:
    """Bytes that a process holds in memory."""
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return 1024 * int(found[1])


async def ask(port: int, sent: bytes) -> tuple[int, bytes]:
    """Send one request on a connection of its own => status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    data = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def request(body: bytes = BODY) -> bytes:
    return HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def honest(port: int, end: float, seen: Counter[int]) -> None:
    """Ask again and again; where there is no room, come back when told."""
    while time.monotonic() < end:
        status, body = await ask(port, request())
        seen[status] += 1
        if status == 200:
            assert json.loads(body)["data"][0]["b64_json"]
        else:
            assert status == 429
            assert json.loads(body)["error"]["type"] == "rate_limit_error"
            await asyncio.sleep(0.2)


async def trickle(port: int, end: float, data: bytes, pause: float) -> None:
    """Send one byte after the other until the server hangs up; it must."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    start = time.monotonic()
    try:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)
            assert time.monotonic() - start < 30, "the server keeps a slow client"
    except (ConnectionError, BrokenPipeError):
        pass
    finally:
        writer.close()


async def vanish(port: int, end: float, data: bytes, pause: float) -> None:
    """Ask, and close the connection before the answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    await asyncio.sleep(pause)
    writer.transport.abort()


async def deaf(port: int, end: float, data: bytes, pause: float) -> None:
    """Ask, and read nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(2 * pause)
    writer.transport.abort()


KINDS: list[tuple[Callable[..., object], bytes, float]] = [
    (trickle, HEAD * 40, 0.05),
    (trickle, HEAD + b"Content-Length: 90000\r\n\r\n" + b" " * 90000, 0.05),
    (vanish, request(), 0.0),
    (vanish, request(), 0.1),
    (vanish, HEAD + b"Content-Length: 10\r\n\r\n12", 0.1),
    (vanish, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(300), 0.1),
    (vanish, HEAD + b"X: " + b"x" * 200_000, 0.1),
    (vanish, HEAD + b"Content-Length: 999999999999\r\n\r\n", 0.1),
    (vanish, HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 500_000, 0.1),
    (vanish, request(b"[" * 50_000), 0.1),
    (vanish, b"GET /" + b"%00../" * 20 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 0.1),
    (deaf, request(), 0.5),
]


async def broken(port: int, end: float, number: int) -> int:
    """Misbehave in one way after the other."""
    rng, times = random.Random(number), 0
    while time.monotonic() < end:
        kind, data, pause = rng.choice(KINDS)
        with contextlib.suppress(ConnectionError):
            await kind(port, end, data, pause)  # type: ignore[misc]
        times += 1
    return times


async def load(port: int) -> tuple[Counter[int], int]:
    end, seen = time.monotonic() + SECONDS, Counter[int]()
    done = await asyncio.gather(
        *(honest(port, end, seen) for _ in range(HONEST)), *(broken(port, end, i) for i in range(BROKEN))
    )
    return seen, sum(int(times or 0) for times in done)


def test_every_honest_request_is_answered_and_memory_is_bounded(served: tuple[int, int]) -> None:
    port, process = served
    assert asyncio.run(ask(port, request()))[0] == 200  # models are loaded
    before = memory(process)
    seen, misbehaved = asyncio.run(load(port))
    assert seen[200] >= HONEST, seen
    assert set(seen) <= {200, 429}
    assert misbehaved >= BROKEN
    assert memory(process) - before < 150e6
    assert asyncio.run(ask(port, request()))[0] == 200
    print(f"{dict(seen)} honest, {misbehaved} broken, {(memory(process) - before) / 1e6:.0f} MB more")


def test_a_full_queue_sends_away_with_a_time_to_come_back() -> None:
    async def fill() -> None:
        queue = serve_limits.Queue(most=2)
        order: list[int] = []

        async def there() -> bool:
            return False

        async def draw(number: int) -> None:
            async with queue.turn(there):
                order.append(number)
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(draw(number)) for number in range(3)]
        await asyncio.sleep(0.005)
        with pytest.raises(serve_limits.RequestError) as caught:
            await draw(3)
        assert caught.value.status == 429
        assert caught.value.headers["Retry-After"].isdigit()
        tasks[1].cancel()  # a client that goes away leaves its place
        await asyncio.gather(*tasks, return_exceptions=True)
        await draw(4)
        assert order == [0, 2, 4]

    asyncio.run(fill())
