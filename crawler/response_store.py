"""What earlier requests brought: bodies by their hash, and an index that says which address gave which.

A body is written aside and renamed, and only then a line is added to the index, so a crawl that is killed at
any moment leaves a store that is whole. Bodies are what the site sent, never changed.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from laureate.core.files import write_bytes


@dataclass(frozen=True)
class Entry:
    """One kept answer.

    `etag` and `modified` are the site's marks, '' for none; `crawl` names the crawl that saw it last, `at` is
    when the site last gave it or said that it holds (seconds since 1970).
    """

    address: str
    sha256: str
    size: int
    kind: str
    etag: str
    modified: str
    crawl: str
    at: float = 0.0


class Kept:
    """A folder of kept answers; give it the same folder and it knows what it knew."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._index = self.folder / "index.jsonl"
        self._entries: dict[str, Entry] = {}
        (self.folder / "bodies").mkdir(parents=True, exist_ok=True)
        for part in (self.folder / "bodies").glob(".*.part"):
            part.unlink(missing_ok=True)
        self._load()

    def _load(self) -> None:
        """Read the index; a line that a kill cut short is passed over, its body is fetched again."""
        if not self._index.exists():
            return
        text = self._index.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                entry = Entry(**json.loads(line))
                self._entries[entry.address] = entry
            except (ValueError, TypeError):
                continue
        if text and not text.endswith("\n"):
            with self._index.open("a", encoding="utf-8") as file:
                file.write("\n")

    def find(self, address: str) -> Entry | None:
        """The entry of an address whose body is still there, whole."""
        entry = self._entries.get(address)
        if entry is None or not entry.sha256:
            return None
        try:
            body = self.path(entry.sha256).read_bytes()
        except OSError:
            return None
        return entry if hashlib.sha256(body).hexdigest() == entry.sha256 else None

    def path(self, sha256: str) -> Path:
        """Where the body with this hash lies."""
        return self.folder / "bodies" / sha256

    def put(
        self, address: str, body: bytes, kind: str, etag: str, modified: str, crawl: str, at: float = 0.0
    ) -> Entry:
        """Keep an answer: first the body, then the line that says so."""
        entry = Entry(address, hashlib.sha256(body).hexdigest(), len(body), kind, etag, modified, crawl, at)
        if not self.path(entry.sha256).exists() or self.find(address) is None:
            write_bytes(self.path(entry.sha256), body)
        self._add(entry)
        return entry

    def forget(self, address: str) -> None:
        """Ask anew next time: what came from this address was no good."""
        if address in self._entries:
            self._add(Entry(address, "", 0, "", "", "", ""))

    def touch(self, entry: Entry, crawl: str, at: float) -> None:
        """Note that the site still gives these bytes, as it was last known `at`."""
        self._add(replace(entry, crawl=crawl, at=at))

    def compact(self, crawl: str) -> None:
        """Drop what a finished crawl has not seen."""
        self._entries = {a: e for a, e in self._entries.items() if e.crawl == crawl and e.sha256}
        lines = (json.dumps(asdict(entry)) + "\n" for entry in self._entries.values())
        write_bytes(self._index, "".join(lines).encode())
        used = {entry.sha256 for entry in self._entries.values()}
        for body in (self.folder / "bodies").iterdir():
            if body.name not in used:
                body.unlink()

    def _add(self, entry: Entry) -> None:
        self._entries[entry.address] = entry
        with self._index.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
