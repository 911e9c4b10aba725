"""Download one file over HTTP: resumable, checked, and renamed to its name only when complete.

huggingface_hub starts a file from its beginning when a run was killed; a base has files of gigabytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file

TRIES = 3  # connections per file and run; a later run resumes
CHUNK = 1 << 20  # bytes
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two bytes


class Unavailable(LaureateError):
    """A source cannot give the base at present; the next source is tried."""


class UnexpectedContent(LaureateError):
    """A source gives other bytes than expected; no other source is tried."""


@dataclass(frozen=True)
class ExpectedFile:
    """Size and hashes that a file must have; None where not known."""

    size: int | None = None
    sha256: str | None = None
    blob: str | None = None  # git's SHA-1 of the content, which is all the hub gives for small files

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has this size and these hashes."""
        return (
            self.size in (None, path.stat().st_size)
            and (self.sha256 is None or self.sha256 == sha256_file(path))
            and (self.blob is None or self.blob == git_blob(path))
        )

    def __str__(self) -> str:
        known = {"SHA-256": self.sha256, "git blob": self.blob, "bytes:": self.size}
        return next((f"{name} {value}" for name, value in known.items() if value is not None), "any content")


def download(url: str, target: Path, expected: ExpectedFile, headers: Mapping[str, str], label: str) -> None:
    """Download `url` to `target`, unless the expected file is there.

    Received bytes are kept in `target` + `.part` until the file is complete; a later call requests the rest.
    `headers` may hold a token, which is not sent to another host after a redirect. Raises Unavailable for a
    server that cannot be reached, refuses, or breaks off, and UnexpectedContent for other bytes.
    """
    if target.is_file() and expected.matches(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for left in reversed(range(TRIES)):
        try:
            _receive(url, part, expected.size, headers, label)
            break
        except ConnectionError as error:
            done = part.stat().st_size if part.is_file() else 0
            if not left:
                raise Unavailable(
                    f"the connection broke while {label} was downloaded, after {done} bytes ({error}); "
                    "run `laureate fetch` again to resume it"
                ) from None
    if not expected.matches(part):
        digest, size = sha256_file(part), part.stat().st_size
        part.unlink()  # the next run downloads it from its beginning
        raise UnexpectedContent(
            f"{label} has {size} bytes and SHA-256 {digest}, but {expected} was expected; the download was "
            "removed: run `laureate fetch` again, and use another source if this happens again"
        )
    os.replace(part, target)


def _receive(url: str, part: Path, size: int | None, headers: Mapping[str, str], label: str) -> None:
    """Append the missing bytes to `part`. Raises ConnectionError if the connection fails or breaks."""
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have >= size:
        return
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing left, or another file than before: start again
                part.unlink()
                raise ConnectionError("the server cannot continue the download")
            if answer.status_code >= 400:
                raise Unavailable(f"{label} was refused with {answer.status_code} {answer.reason}: {url}")
            if have and answer.status_code != 206:  # the server ignores Range and sends the whole file
                have = 0
            with (
                part.open("ab" if have else "wb") as file,
                tqdm(total=size, initial=have, desc=label, unit="B", unit_scale=True, mininterval=1.0) as bar,
            ):
                while chunk := answer.raw.read1(CHUNK):  # all that has arrived: a break loses nothing
                    file.write(chunk)
                    bar.update(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise ConnectionError(type(error).__name__) from None
    if size is not None and part.stat().st_size < size:
        raise ConnectionError("the answer ended early")


def git_blob(path: Path) -> str:
    """git's SHA-1 of a file as a blob, which the hub gives for small files."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
