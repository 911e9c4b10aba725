"""Keys and tokens are in no output and no file, whole or in parts of six characters, whatever goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

MARKER = "mRk-q7Zx9_Wv3Kp8Lt2Nf6Hd"
PARTS = {MARKER[i : i + 6] for i in range(len(MARKER) - 5)}
VARIABLES = ("PAINTER_KEY", "HF_TOKEN", "LAUREATE_KEY", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY")


class Echo(BaseHTTPRequestHandler):
    """Answers with a status and everything that was sent, in the body and in headers."""

    protocol_version = "HTTP/1.1"
    status = 200
    html = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = self.headers.get("Authorization") or "nothing"
        key = sent.rpartition(" ")[2]
        words = f"Incorrect key provided: {sent}, {key[:10]}*****{key[-8:]}"
        value: Any = {
            "error": {"message": words, "code": f"bad {key}"},
            "detail": words,
            "prompt": "moderation?",
        }
        content = f"<html>{words}</html>".encode() if self.html else json.dumps(value).encode()
        self.send_response(self.status, f"No {key}")
        self.send_header("X-Error-Message", words)
        self.send_header("Content-Type", "text/html" if self.html else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def echo(status: int, html: bool) -> Iterator[str]:
    handler = type("Now", (Echo,), {"status": status, "html": html})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    rows = [{"id": name, "text": f"A {name}.", "set": "seed"} for name in ("man", "hat")]
    (folder / "prompts.yaml").write_text(yaml.safe_dump(rows))
    return folder


# runs the command line after a fault of the program was put into it
FAULTY = """
import sys, os
from laureate import cli
import laureate.commands.plan as plan
def run(**options):
    key = os.environ["PAINTER_KEY"]
    raise ZeroDivisionError(f"with {key!r} and {key[3:15]}")
plan.run = run
sys.exit(cli.program())
"""


def commands(folder: Path, url: str) -> list[list[str]]:
    """What is run against one server, or none."""
    values = {
        "sample": {"prompts": ["prompts.yaml"], "seeds": [1, 2]},
        "external": {"painter": {"endpoint": {
            "url": f"{url}/v1", "model": "m", "key": "PAINTER_KEY", "retries": 0, "timeout": 2,
            "send_organization": True,
        }}},
        "base": {"path": "nothing", "lock": "lock.json", "sources": [
            {"hub": "me/base", "revision": "main"}, {"modelscope": "me/base", "revision": "master"}]},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    start = [sys.executable, "-m", "laureate", "--debug"]
    return [[*start, "images", "--model", "painter"], [*start, "fetch"]]


def said(command: list[str], folder: Path, url: str, value: str, **more: str) -> bytes:
    """Everything that a command prints, with all keys set to `value`."""
    environment = {key: item for key, item in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= dict.fromkeys(VARIABLES, value)
    environment |= {
        "HF_ENDPOINT": url,
        "MODELSCOPE_ENDPOINT": url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(folder / "hf"),
        "OPENAI_LOG": "debug",
        "HF_DEBUG": "1",
        "HF_HUB_VERBOSITY": "debug",
        **more,
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120)
    return done.stdout + done.stderr


def check(data: bytes, what: object) -> None:
    shown = sorted(part for part in PARTS if part.encode() in data)
    assert not shown, (what, shown, data[:4000])


def check_files(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            check(file.read_bytes(), file)


@pytest.mark.parametrize(
    ("status", "html"), [(401, False), (403, True), (422, False), (429, False), (500, False), (200, True)]
)
def test_a_server_that_echoes_the_key(study: Path, tmp_path: Path, status: int, html: bool) -> None:
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    with echo(status, html) as url:
        for command in commands(tmp_path, url):
            output = said(command, tmp_path, url, MARKER)
            assert b"laureate: " in output
            check(output, (status, command))
    check_files(tmp_path)


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\u200b", "\nmore", "\x7f"])
def test_a_key_that_no_header_may_hold(study: Path, tmp_path: Path, end: str) -> None:
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    for command in commands(tmp_path, "http://127.0.0.1:9"):
        output = said(command, tmp_path, "http://127.0.0.1:9", MARKER + end)
        assert b"PAINTER_KEY" in output or b"HF_TOKEN" in output
        check(output, command)
    check_files(tmp_path)


def test_no_server_a_bad_proxy_and_an_error_of_the_program(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    url, proxy = "http://127.0.0.1:9", f"http://user:{MARKER}@127.0.0.1:9"
    for command in commands(tmp_path, url):
        check(said(command, tmp_path, url, MARKER), command)
        check(said(command, tmp_path, "http://192.0.2.1:1", MARKER, HTTP_PROXY=proxy), command)
    for debug in ([], ["--debug"]):
        faulty = [sys.executable, "-c", FAULTY, *debug, "plan"]
        output = said(faulty, tmp_path, url, MARKER)
        assert b"ZeroDivisionError" in output
        assert b".work/errors/" in output
        check(output, faulty)
    assert list(tmp_path.glob(".work/errors/*.log"))
    check_files(tmp_path)
