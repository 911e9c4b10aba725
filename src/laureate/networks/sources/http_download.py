"""One file over HTTP, resumed where an earlier try was cut, and whole or not there.

The hub's own library starts anew when a run is killed; a base has files of gigabytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file

TRIES = 3  # connections to one file that may break before a run gives up; a later run goes on
CHUNK = 1 << 20  # bytes
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two bytes


class Unavailable(LaureateError):
    """A source cannot give the base now; the next one may."""


class Changed(LaureateError):
    """A source gives other bytes than it should: nothing that the next source would put right."""


@dataclass(frozen=True)
class Promise:
    """What a file is to be; what is None is not known."""

    size: int | None = None
    sha256: str | None = None
    blob: str | None = None  # git's name for the content: all that the hub tells of files that are not large

    def kept_by(self, path: Path) -> bool:
        """Whether the file at `path` is that."""
        return (
            self.size in (None, path.stat().st_size)
            and (self.sha256 is None or self.sha256 == sha256_file(path))
            and (self.blob is None or self.blob == git_blob(path))
        )

    def __str__(self) -> str:
        known = {"SHA-256": self.sha256, "git blob": self.blob, "bytes:": self.size}
        return next((f"{name} {value}" for name, value in known.items() if value is not None), "anything")


def download(url: str, target: Path, promise: Promise, headers: Mapping[str, str], label: str) -> None:
    """Fetch `url` to `target`, unless what was promised is there.

    What arrived lies in `target` + `.part` until it is whole; a later call asks for the rest. `headers` may
    hold a token, which does not follow a redirection to another host. Raises Unavailable for a server that
    cannot be reached, refuses, or breaks off, and Changed for other bytes than promised.
    """
    if target.is_file() and promise.kept_by(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for left in reversed(range(TRIES)):
        try:
            _receive(url, part, promise.size, headers, label)
            break
        except ConnectionError as error:
            done = part.stat().st_size if part.is_file() else 0
            if not left:
                raise Unavailable(
                    f"the connection broke while {label} was fetched, after {done} bytes ({error}); "
                    "run `laureate fetch` again to go on from there"
                ) from None
    if not promise.kept_by(part):
        digest, size = sha256_file(part), part.stat().st_size
        part.unlink()  # the next run fetches it anew
        raise Changed(
            f"{label} has {size} bytes and SHA-256 {digest}, but {promise} was promised; what was fetched is "
            "removed: run `laureate fetch` again, and take another source if it happens again"
        )
    os.replace(part, target)


def _receive(url: str, part: Path, size: int | None, headers: Mapping[str, str], label: str) -> None:
    """Append to `part` what it lacks. Raises ConnectionError if the server breaks off or is not reached."""
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have >= size:
        return
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing left to send, or another file than before: start over
                part.unlink()
                raise ConnectionError("the server does not know the rest of what was begun")
            if answer.status_code >= 400:
                raise Unavailable(f"{label} was refused with {answer.status_code} {answer.reason}: {url}")
            if have and answer.status_code != 206:  # the server sends all of it again
                have = 0
            with (
                part.open("ab" if have else "wb") as file,
                tqdm(total=size, initial=have, desc=label, unit="B", unit_scale=True, mininterval=1.0) as bar,
            ):
                while chunk := answer.raw.read1(CHUNK):  # what is there: a cut loses nothing that came before
                    file.write(chunk)
                    bar.update(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise ConnectionError(type(error).__name__) from None
    if size is not None and part.stat().st_size < size:
        raise ConnectionError("it ended early")


def git_blob(path: Path) -> str:
    """The name that git gives to a file's content (SHA-1): what the hub says of files that are not large."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
