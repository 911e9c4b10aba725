"""Store of received responses: bodies by SHA-256, and an index from address to body.

A body is written to a temporary file and renamed before a line is added to the index, so a crawl that is
killed at any moment leaves a consistent store. Bodies are stored as received.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from laureate.core.files import write_bytes


@dataclass(frozen=True)
class StoredResponse:
    """One stored response.

    `etag` and `modified` are the site's validators, '' for none; `crawl` names the last crawl that used it,
    `at` is when the site last sent or confirmed it (seconds since 1970).
    """

    address: str
    sha256: str
    size: int
    kind: str
    etag: str
    modified: str
    crawl: str
    at: float = 0.0


class ResponseStore:
    """Stored responses in a folder; opened again, it holds the same responses."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._index = self.folder / "index.jsonl"
        self._entries: dict[str, StoredResponse] = {}
        (self.folder / "bodies").mkdir(parents=True, exist_ok=True)
        for part in (self.folder / "bodies").glob(".*.part"):
            part.unlink(missing_ok=True)
        self._load()

    def _load(self) -> None:
        """Read the index; an incomplete line of a killed crawl is ignored, its body is requested again."""
        if not self._index.exists():
            return
        text = self._index.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                entry = StoredResponse(**json.loads(line))
                self._entries[entry.address] = entry
            except (ValueError, TypeError):
                continue
        if text and not text.endswith("\n"):
            with self._index.open("a", encoding="utf-8") as file:
                file.write("\n")

    def find(self, address: str) -> StoredResponse | None:
        """The stored response of an address; None when its body is missing or damaged."""
        entry = self._entries.get(address)
        if entry is None or not entry.sha256:
            return None
        try:
            body = self.path(entry.sha256).read_bytes()
        except OSError:
            return None
        return entry if hashlib.sha256(body).hexdigest() == entry.sha256 else None

    def path(self, sha256: str) -> Path:
        """The file of the body with this hash."""
        return self.folder / "bodies" / sha256

    def put(
        self, address: str, body: bytes, kind: str, etag: str, modified: str, crawl: str, at: float = 0.0
    ) -> StoredResponse:
        """Store a response: first the body, then its line in the index."""
        entry = StoredResponse(
            address, hashlib.sha256(body).hexdigest(), len(body), kind, etag, modified, crawl, at
        )
        if not self.path(entry.sha256).exists() or self.find(address) is None:
            write_bytes(self.path(entry.sha256), body)
        self._add(entry)
        return entry

    def forget(self, address: str) -> None:
        """Remove the response of an address, so that it is requested again next time."""
        if address in self._entries:
            self._add(StoredResponse(address, "", 0, "", "", "", ""))

    def touch(self, entry: StoredResponse, crawl: str, at: float) -> None:
        """Note that the crawl `crawl` used a response, which the site last confirmed `at`."""
        self._add(replace(entry, crawl=crawl, at=at))

    def compact(self, crawl: str) -> None:
        """Remove the responses that the finished crawl `crawl` has not used."""
        self._entries = {a: e for a, e in self._entries.items() if e.crawl == crawl and e.sha256}
        lines = (json.dumps(asdict(entry)) + "\n" for entry in self._entries.values())
        write_bytes(self._index, "".join(lines).encode())
        in_use = {entry.sha256 for entry in self._entries.values()}
        for body in (self.folder / "bodies").iterdir():
            if body.name not in in_use:
                body.unlink()

    def _add(self, entry: StoredResponse) -> None:
        self._entries[entry.address] = entry
        with self._index.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
