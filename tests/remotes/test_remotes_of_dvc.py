"""DVC remotes on real servers: data come back as they were, and every fault ends in a sentence.

One fault is the server's: wsgidav writes an upload straight into its file, so that a push that breaks off
leaves a part of an object under its whole name. DVC 3.67 then takes it for pushed. `verify` refuses it on a
pull; the object must be removed in the store and pushed again. S3, sshd with DVC's client, and WebDAV servers
that rename what is complete do not have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import remote_servers
from shell import run

LARGE = 3_000_000  # bytes: much more than a relay passes before it breaks off
FILES = {"large.bin": np.random.default_rng(0).bytes(LARGE), "small.txt": b"drawn\n"}
CUT = 1_000_000


@dataclass
class Author:
    """A repository with two files in `data`, and the server of its remote."""

    folder: Path
    server: remote_servers.Server
    kind: str  # of remote_servers.KINDS

    def name_of(self, file: str) -> str:
        """The name in the store of one of FILES."""
        digest = hashlib.md5(FILES[file], usedforsecurity=False).hexdigest()
        return next(name for name in self.server.objects() if name.endswith(f"{digest[:2]}/{digest[2:]}"))

    def clone(self, folder: Path) -> Path:
        """A clone that knows the remote."""
        run("git", "clone", "--quiet", self.folder, folder, cwd=self.folder)
        (folder / ".dvc/config.local").write_bytes((self.folder / ".dvc/config.local").read_bytes())
        return folder


@pytest.fixture(params=list(remote_servers.KINDS), scope="module")
def author(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, warm_dvc: None
) -> Iterator[Author]:
    """Two files, committed, with a remote that verifies and into which nothing was pushed."""
    if request.param == "ssh" and not Path(remote_servers.SSHD).exists():
        pytest.skip("sshd is not installed")
    place = tmp_path_factory.mktemp(request.param)
    folder = place / "author"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, remote_servers.KINDS[request.param](place) as server:
        patch.setenv("AWS_MAX_ATTEMPTS", "2")  # of botocore, which waits longer from each to the next
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
        run("dvc", "init", "--quiet", cwd=folder)
        options = server.options | {"verify": "true"}
        run("dvc", "remote", "add", "--local", "--default", "store", options.pop("url"), cwd=folder)
        for key, value in options.items():
            run("dvc", "remote", "modify", "--local", "store", key, value, cwd=folder)
        (folder / "data").mkdir()
        for name, content in FILES.items():
            (folder / "data" / name).write_bytes(content)
        run("dvc", "add", "--quiet", "data", cwd=folder)
        run("git", "add", "--all", cwd=folder)
        run("git", "commit", "--quiet", "--message", "two files", cwd=folder)
        yield Author(folder, server, request.param)


@pytest.mark.slow
def test_a_remote_and_its_faults(author: Author, tmp_path: Path) -> None:
    """In one test, in this order: what is in the store after one step is what the next begins with."""
    server = author.server
    # a push that breaks off leaves whole objects only, and a clone is told what is missing
    server.relay.break_after("up", CUT)
    _ends_in_a_sentence(run("dvc", "push", cwd=author.folder, fails=True))
    server.relay.mend()
    broken = _broken(server)
    assert not broken or author.kind == "webdav"
    early = author.clone(tmp_path / "early")
    _ends_in_a_sentence(run("dvc", "pull", cwd=early, fails=True))
    _nothing_half_written(early)
    for name in broken:
        server.change(name, None)

    # the same push again completes it
    run("dvc", "push", cwd=author.folder)
    assert _broken(server) == []
    run("dvc", "pull", cwd=early)
    assert _files(early) == FILES

    # a pull that breaks off, and goes on
    later = author.clone(tmp_path / "later")
    server.relay.break_after("down", CUT)
    _ends_in_a_sentence(run("dvc", "pull", cwd=later, fails=True))
    server.relay.mend()
    _nothing_half_written(later)
    run("dvc", "pull", cwd=later)
    assert _files(later) == FILES

    # an object with other bytes, of the same length
    name = author.name_of("large.bin")
    server.change(name, bytes(LARGE))
    spoilt = author.clone(tmp_path / "spoilt")
    _ends_in_a_sentence(run("dvc", "pull", cwd=spoilt, fails=True))
    _nothing_half_written(spoilt)

    # no object
    server.change(name, None)
    without = author.clone(tmp_path / "without")
    _ends_in_a_sentence(run("dvc", "pull", cwd=without, fails=True))
    _nothing_half_written(without)


def _ends_in_a_sentence(printed: str) -> None:
    """DVC said what failed, and showed no traceback."""
    assert "Traceback" not in printed
    assert any(line.startswith("ERROR: ") and len(line.split()) > 3 for line in printed.splitlines()), printed


def _nothing_half_written(clone: Path) -> None:
    """What is in the working folder and in the cache is whole."""
    assert FILES.items() >= _files(clone).items()
    for file in (clone / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file():
            digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
            assert file.parent.name + file.name.removesuffix(".dir") == digest


def _broken(server: remote_servers.Server) -> list[str]:
    """The objects of the store that have the name of a hash and not that hash."""
    names = []
    for name, content in server.objects().items():
        *_, folder, rest = name.split("/")
        digest = folder + rest.removesuffix(".dir")
        named = len(digest) == 32 and not set(digest) - set("0123456789abcdef")
        if named and hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
            names.append(name)
    return names


def _files(clone: Path) -> dict[str, bytes]:
    """Name => bytes in `data`."""
    return {file.name: file.read_bytes() for file in (clone / "data").glob("*")}
