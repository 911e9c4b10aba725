"""Servers on loopback that are DVC remotes: S3 (moto), SSH (OpenSSH's sshd), WebDAV (wsgidav).

Each is reached through a relay that can be told to break off after a number of bytes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
BUCKET = "store"


@dataclass
class Relay:
    """Passes connections on to a port; breaks all off, and takes no more, when `limit` bytes went one way."""

    target: int
    limit: dict[str, int] = field(default_factory=dict)  # "up": to the server, "down": from it
    passed: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    broken: bool = False

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def break_after(self, way: str, size: int) -> None:
        """Break off when `size` more bytes went that way."""
        self.limit = {way: self.passed[way] + size}

    def mend(self) -> None:
        """Pass everything again."""
        self.limit, self.broken = {}, False

    def close(self) -> None:
        """Take no more connections."""
        self.listener.close()
        self._break()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.broken:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self.open += [client, server]
            for source, sink, way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pass, args=(source, sink, way), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.passed[way] += len(data)
                if self.passed[way] > self.limit.get(way, sys.maxsize):
                    self._break()
                    return
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _break(self) -> None:
        self.broken = True
        while self.open:
            end = self.open.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass
class Server:
    """A store that runs, and how DVC is told of it."""

    relay: Relay
    options: dict[str, str]  # of `dvc remote modify`; url is one of them
    objects: Callable[[], dict[str, bytes]]  # name in the store => bytes
    change: Callable[[str, bytes | None], None]  # put other bytes under a name, or remove it


@contextmanager
def s3(folder: Path) -> Iterator[Server]:
    """moto's S3 with one bucket."""
    import boto3

    port = _free_port()
    words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with _process(words, port, folder), _relay(port) as relay:
        keys = {"access_key_id": "tests", "secret_access_key": "tests", "region": "us-east-1"}
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)

        def objects() -> dict[str, bytes]:
            names = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
            return {name: client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

        def change(name: str, content: bytes | None) -> None:
            if content is None:
                client.delete_object(Bucket=BUCKET, Key=name)
            else:
                client.put_object(Bucket=BUCKET, Key=name, Body=content)

        options = {"url": f"s3://{BUCKET}/dvc", "endpointurl": f"http://127.0.0.1:{relay.port}", **keys}
        yield Server(relay, options, objects, change)
        client.close()


@contextmanager
def ssh(folder: Path) -> Iterator[Server]:
    """sshd with a configuration and keys of its own, that serves this user."""
    port, home = _free_port(), folder / "sshd"
    home.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    (home / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {home}/host\nPidFile {home}/pid\n"
        f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it, for root only
    store = folder / "store"
    store.mkdir()
    with _process([SSHD, "-D", "-e", "-f", str(home / "config")], port, folder), _relay(port) as relay:
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        url = f"ssh://127.0.0.1{store}"
        options = {"url": url, "port": str(relay.port), "user": user, "keyfile": str(home / "user")}
        yield _of_folder(relay, options, store)


@contextmanager
def webdav(folder: Path) -> Iterator[Server]:
    """wsgidav on cheroot, without a password."""
    port, store = _free_port(), folder / "store"
    store.mkdir()
    words = [sys.executable, "-m", "wsgidav.server.server_cli", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--root", str(store), "--auth", "anonymous", "--server", "cheroot", "--no-config"]
    with _process(words, port, folder), _relay(port) as relay:
        yield _of_folder(relay, {"url": f"webdav://127.0.0.1:{relay.port}/"}, store)


KINDS = {"s3": s3, "ssh": ssh, "webdav": webdav}


def _of_folder(relay: Relay, options: dict[str, str], store: Path) -> Server:
    """A server whose store is a folder."""

    def objects() -> dict[str, bytes]:
        files = (file for file in store.rglob("*") if file.is_file())
        return {file.relative_to(store).as_posix(): file.read_bytes() for file in files}

    def change(name: str, content: bytes | None) -> None:
        file = store / name
        file.chmod(0o644)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)

    return Server(relay, options, objects, change)


@contextmanager
def _relay(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()


@contextmanager
def _process(words: list[str], port: int, folder: Path) -> Iterator[None]:
    """A server that has opened its port while the block runs. Raises AssertionError with what it printed."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + 60
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                said = (folder / "server.log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < end, said
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
