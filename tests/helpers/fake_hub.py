"""A server on loopback that answers as the Hugging Face hub and as ModelScope do, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"
LARGE = ".safetensors"  # these are in large file storage, so their SHA-256 is told
TOKEN = "hf_a_token_of_ours"


@dataclass
class Hub:
    """What the server has and does, to be changed by a test, and what it was asked."""

    repositories: dict[str, Path]
    private: set[str] = field(default_factory=set)  # 401 without the token
    gated: set[str] = field(default_factory=set)  # 403
    broken: set[str] = field(default_factory=set)  # 500
    cut: dict[str, int] = field(default_factory=dict)  # file name => bytes after which the connection breaks
    cuts: int = 1  # how often
    lies: set[str] = field(default_factory=set)  # files sent with another last byte than promised
    deaf: bool = False  # ignores Range
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    address: str = ""


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve on a free port of loopback."""
    handler = type("HandlerOfHub", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of what a client asks the two services for."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, url = self.hub, urlsplit(self.path)
        hub.asked.append((self.command, url.path, self.headers.get("Range")))
        parts = url.path.strip("/").split("/")
        if url.path.startswith("/api/v1/models/"):
            self._modelscope("/".join(parts[3:5]), parse_qs(url.query))
        elif url.path.startswith("/api/models/"):
            self._model_info("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif "resolve" in parts:
            at = parts.index("resolve")
            if self._allowed(name := "/".join(parts[at - 2 : at])):
                self._file(hub.repositories[name], "/".join(parts[at + 2 :]))
        else:
            self._error(404, "NotFound")

    def _allowed(self, name: str) -> bool:
        hub = self.hub
        if name in hub.broken:
            return self._error(500, "Internal")
        if name in hub.gated:
            return self._error(403, "GatedRepo")
        if name in hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, "RepoNotFound", "Invalid username or password.")
        if name not in hub.repositories:
            return self._error(404, "RepoNotFound", "Repository not found")
        return True

    def _model_info(self, name: str, revision: str) -> None:
        if not self._allowed(name):
            return
        if revision not in ("main", COMMIT):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        siblings = []
        for path, file in contents(self.hub.repositories[name]).items():
            row: dict[str, object] = {"rfilename": path, "size": file.stat().st_size}
            if path.endswith(LARGE):
                row["lfs"] = {"sha256": sha(file), "size": file.stat().st_size, "pointerSize": 135}
            else:
                row["blobId"] = git_blob(file)
            siblings.append(row)
        self._json({"id": name, "modelId": name, "sha": COMMIT, "tags": [], "siblings": siblings})

    def _modelscope(self, name: str, query: dict[str, list[str]]) -> None:
        if name not in self.hub.repositories or query.get("Revision") != ["master"]:
            self._json({"Code": 10010205001, "Message": "not found", "Success": False, "Data": None}, 404)
            return
        rows = [
            {"Path": path, "Size": file.stat().st_size, "Sha256": sha(file), "Type": "blob"}
            for path, file in contents(self.hub.repositories[name]).items()
        ]
        rows.append({"Path": "unet", "Size": 0, "Sha256": "", "Type": "tree"})
        self._json({"Code": 200, "Success": True, "Data": {"Files": rows}})

    def _file(self, folder: Path, name: str) -> None:
        if not (folder / name).is_file():
            self._error(404, "EntryNotFound", "Entry not found")
            return
        file = folder / name
        size, start = file.stat().st_size, 0
        headers = {
            "ETag": f'"{sha(file) if name.endswith(LARGE) else git_blob(file)}"',
            "X-Repo-Commit": COMMIT,
        }
        headers |= {"X-Linked-Size": str(size), "X-Linked-Etag": headers["ETag"], "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted and not self.hub.deaf:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= size:
                self._error(416, "RangeNotSatisfiable")
                return
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self.send_response(206 if start else 200)
        for key, value in {**headers, "Content-Length": str(size - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with file.open("rb") as opened:
            opened.seek(start)
            if name in self.hub.cut and self.hub.cuts:
                self.hub.cuts -= 1
                self.wfile.write(opened.read(self.hub.cut[name]))
                self.wfile.flush()
                self.close_connection = True
            elif name in self.hub.lies:
                data = opened.read()
                self.wfile.write(data[:-1] + bytes([data[-1] ^ 1]))
            else:
                shutil.copyfileobj(opened, self.wfile, 1 << 20)

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str = "") -> bool:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message or code)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


def contents(folder: Path) -> dict[str, Path]:
    """The files of a repository by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def sha(file: Path) -> str:
    """SHA-256, as large file storage names a content."""
    status = file.stat()
    return _sha(file, status.st_mtime_ns, status.st_size)


@lru_cache
def _sha(file: Path, changed: int, size: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def git_blob(file: Path) -> str:
    """SHA-1 of a git blob, as git names a content."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
