"""Data by version: with the repository's address anyone gets the bytes of a tag, however DVC is asked."""

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from shell import run

TAG = "data-1"
FIRST = {"train/metadata.jsonl": "one\n", "train/844.png": "drawn\n", "holdout/metadata.jsonl": "two\n"}
SECOND = {"train/metadata.jsonl": "newer\n", "train/845.png": "another\n", "holdout/metadata.jsonl": "two\n"}


@dataclass(frozen=True)
class Published:
    """A repository that others can clone, whose `data/dataset` is FIRST at TAG and SECOND at its head."""

    url: str  # of the bare git repository
    author: Path  # the clone it was pushed from


@pytest.fixture(scope="module", params=["folder", "http"])
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path, warm_dvc: None
) -> Iterator[Published]:
    """Two versions of a small data set, pushed to a git repository and a DVC remote."""
    place = tmp_path_factory.mktemp(request.param)
    store = place / "store"
    if request.param == "folder":
        yield _publish(place, root, str(store))
    else:
        with _serving(store) as address:
            yield _publish(place, root, address)


def test_clone_and_pull(published: Published, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", published.url, clone, cwd=tmp_path)
    run("dvc", "pull", cwd=clone)
    assert _files(clone / "data/dataset") == SECOND
    run("git", "checkout", "--quiet", TAG, cwd=clone)
    run("dvc", "pull", cwd=clone)
    assert _files(clone / "data/dataset") == FIRST
    assert "up to date" in run("dvc", "status", cwd=clone)


@pytest.mark.parametrize(("revision", "expected"), [([], SECOND), (["--rev", TAG], FIRST)])
def test_get(published: Published, tmp_path: Path, revision: list[str], expected: dict[str, str]) -> None:
    run("dvc", "get", published.url, "data/dataset", *revision, cwd=tmp_path)
    assert _files(tmp_path / "dataset") == expected


def test_get_one_file_and_one_from_git(published: Published, tmp_path: Path) -> None:
    run("dvc", "get", published.url, "data/dataset/train/844.png", "--rev", TAG, cwd=tmp_path)
    assert (tmp_path / "844.png").read_text() == "drawn\n"
    run("dvc", "get", published.url, "metrics/selected.json", "--rev", TAG, cwd=tmp_path)
    assert (tmp_path / "selected.json").read_text() == "{}\n"


def test_import_and_update(published: Published, tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    run("dvc", "init", "--quiet", cwd=tmp_path)
    run("dvc", "import", published.url, "data/dataset", "--rev", TAG, cwd=tmp_path)
    assert _files(tmp_path / "dataset") == FIRST
    assert f"rev: {TAG}" in (tmp_path / "dataset.dvc").read_text()
    run("dvc", "update", "dataset.dvc", "--rev", "main", cwd=tmp_path)
    assert _files(tmp_path / "dataset") == SECOND


def test_open_from_python(published: Published) -> None:
    import dvc.api

    path = "data/dataset/train/metadata.jsonl"
    with dvc.api.open(path, repo=published.url, rev=TAG) as file:
        assert file.read() == "one\n"
    assert dvc.api.read(path, repo=published.url) == "newer\n"


def test_spoilt_bytes_do_not_pass_for_the_data(published: Published, tmp_path: Path) -> None:
    """With `verify`, as CONTRIBUTING.md sets a remote up, an object changed in the store is refused."""
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", published.url, clone, cwd=tmp_path)
    store = published.author.parent / "store"
    spoilt = tmp_path / "store"
    shutil.copytree(store, spoilt)
    for file in spoilt.rglob("*"):
        if file.is_file() and file.read_text() == "another\n":
            file.chmod(0o644)
            file.write_text("tampered\n")
    run("dvc", "remote", "add", "--local", "spoilt", spoilt, cwd=clone)
    run("dvc", "remote", "modify", "--local", "spoilt", "verify", "true", cwd=clone)
    run("dvc", "pull", "--remote", "spoilt", cwd=clone, fails=True)
    assert "tampered\n" not in _files(clone / "data/dataset").values()


def _publish(place: Path, root: Path, remote: str) -> Published:
    """Commit, tag and push FIRST; then commit and push SECOND. The stage is the study's in small."""
    origin, author = place / "origin.git", place / "author"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", origin, cwd=place)
    run("git", "clone", "--quiet", origin, author, cwd=place)
    run("dvc", "init", "--quiet", cwd=author)
    shutil.copy(root / ".dvc/config", author / ".dvc/config")
    run("dvc", "remote", "add", "--default", "store", remote, cwd=author)
    (author / "dvc.yaml").write_text(
        "stages:\n"
        "  prepare:\n"
        "    cmd:\n"
        "      - mkdir -p data metrics\n"
        "      - cp -R source data/dataset\n"
        "      - echo '{}' > metrics/selected.json\n"
        "    deps: [source]\n"
        "    outs: [data/dataset]\n"
        "    metrics:\n"
        "      - metrics/selected.json: {cache: false}\n"
    )
    for version, files in ((TAG, FIRST), ("data-2", SECOND)):
        shutil.rmtree(author / "source", ignore_errors=True)
        for name, text in files.items():
            (author / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (author / "source" / name).write_text(text)
        run("dvc", "repro", cwd=author)
        run("git", "add", "--all", cwd=author)
        run("git", "commit", "--quiet", "--message", version, cwd=author)
        run("git", "tag", version, cwd=author)
        run("dvc", "push", cwd=author)
    run("git", "push", "--quiet", "--tags", "origin", "main", cwd=author)
    return Published(url=origin.as_uri(), author=author)


def _files(folder: Path) -> dict[str, str]:
    """Relative name => content, of every file under a folder."""
    return {
        file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()
    }


class _Store(BaseHTTPRequestHandler):
    """The least an HTTP server needs to be a DVC remote: HEAD, GET, and POST or PUT to write."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        target = self._target()
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{threading.get_ident()}")
        part.write_bytes(self._received())
        part.replace(target)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _target(self) -> Path:
        assert re.fullmatch(r"[\w/.-]+", self.path)
        assert ".." not in self.path
        return self.folder / self.path.lstrip("/")

    def _answer(self, *, with_body: bool) -> None:
        target = self._target()
        content = target.read_bytes() if target.is_file() else b""
        self.send_response(200 if target.is_file() else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _received(self) -> bytes:
        """The body of a request, sent whole or in chunks (RFC 9112, 7.1)."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class _serving:
    """Serve a folder on loopback while the block runs; the block gets the address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Store", (_Store,), {"folder": folder}))
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
