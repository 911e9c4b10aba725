"""Download one file over HTTP: resumable, checked, and renamed to its name only when complete.

huggingface_hub starts a file from its beginning when a run was killed; a base has files of gigabytes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.core import network
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.os_errors import at_path

TRIES = 3  # connections per file and run; a later run resumes
CHUNK = 1 << 20  # bytes
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two bytes


class Unavailable(LaureateError):
    """A source cannot give the base at present; the next source is tried."""


class UnexpectedContent(LaureateError):
    """A source gives other bytes than expected; no other source is tried."""


class Interrupted(Exception):
    """A connection failed or broke; the download can be resumed after `wait` seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


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
    server that cannot be reached, refuses, breaks off, or gives a web page or a Git LFS pointer in place of
    the file, UnexpectedContent for other bytes, and OSError for a file that cannot be written.
    """
    if target.is_file() and expected.matches(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for left in reversed(range(TRIES)):
        try:
            _receive(url, part, expected.size, headers, label)
            break
        except Interrupted as error:
            done = part.stat().st_size if part.is_file() else 0
            if not left:
                raise Unavailable(
                    f"the connection broke while {label} was downloaded, after {done} bytes ({error}); "
                    "run `laureate fetch` again to resume it"
                ) from None
            time.sleep(error.wait)
    if not expected.matches(part):
        digest, size = sha256_file(part), part.stat().st_size
        part.unlink()  # the next run downloads it from its beginning
        raise UnexpectedContent(
            f"{label} has {size} bytes and SHA-256 {digest}, but {expected} was expected; the download was "
            "removed: run `laureate fetch` again, and use another source if this happens again"
        )
    os.replace(part, target)


def _receive(url: str, part: Path, size: int | None, headers: Mapping[str, str], label: str) -> None:
    """Append the missing bytes to `part`. Raises Interrupted if the connection fails or breaks."""
    import requests
    from urllib3.exceptions import HTTPError

    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have >= size:
        return
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
            _check_status(answer, part, url, label)
            if have and answer.status_code != 206:  # the server ignores Range and sends the whole file
                have = 0
            _append(answer.raw, part, have, size, label)
    except (requests.RequestException, HTTPError) as error:
        raise Interrupted(network.reason(error)) from None
    except OSError as error:
        if error.errno is not None and error.filename is not None:  # of `part`
            raise
        raise Interrupted(network.reason(error)) from None
    if size is not None and part.stat().st_size < size:
        raise Interrupted("the answer ended early")


def _check_status(answer: Any, part: Path, url: str, label: str) -> None:
    """Raises Unavailable for a refusal, Interrupted for what may pass."""
    if answer.status_code == 416:  # nothing left, or another file than before: start again
        part.unlink()
        raise Interrupted("the server cannot continue the download")
    wait = network.retry_after(answer.headers)
    if answer.status_code in (429, 503) and wait is not None and wait <= network.LONGEST_WAIT:
        raise Interrupted(f"the server answers {answer.status_code}", wait)
    if answer.status_code >= 400:
        reason = network.short(f"{answer.status_code} {answer.reason}: {url}")
        raise Unavailable(f"{label} was refused with {reason}")
    if "text/html" in answer.headers.get("Content-Type", "") and not url.endswith((".html", ".htm")):
        raise Unavailable(_no_file(label, url))


def _append(raw: Any, part: Path, have: int, size: int | None, label: str) -> None:
    """Write an answer's bytes behind the first `have` of `part`."""
    from tqdm import tqdm

    chunk = raw.read1(CHUNK)
    if not have and network.is_web_page(chunk):
        raise Unavailable(_no_file(label, ""))
    if not have and chunk.startswith(network.LFS_POINTER) and (size is None or size > len(chunk)):
        raise Unavailable(
            f"the server gives a Git LFS pointer instead of {label}; use a source that has the content"
        )
    with tqdm(total=size, initial=have, desc=label, unit="B", unit_scale=True, mininterval=1.0) as bar:
        try:
            file = part.open("ab" if have else "wb")
        except OSError as error:
            raise at_path(error, part) from None
        with file:
            while chunk:  # all that has arrived: a break loses nothing
                try:
                    file.write(chunk)
                    file.flush()
                except OSError as error:
                    raise at_path(error, part) from None
                bar.update(len(chunk))
                chunk = raw.read1(CHUNK)


def _no_file(label: str, url: str) -> str:
    place = f" at {network.short(url)}" if url else ""
    return f"the server gives a web page instead of {label}{place}; it may want a login: use another source"


def git_blob(path: Path) -> str:
    """git's SHA-1 of a file as a blob, which the hub gives for small files."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
