"""Parse the API's responses: all its field names are here.

Any text, however broken, gives typed values and a list of problems; only `NotFound` is raised.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crawler.parsing import CATEGORIES, YEAR, NotFound, absolute, as_list, english

FACTS_LINK = "laureate facts"
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class PrizeEntry:
    """A prize inside a laureate; `facts` is the address of its facts page, None when the API has no link."""

    year: int
    category: str
    facts: str | None


@dataclass(frozen=True)
class LaureateEntry:
    """A laureate in the API."""

    id: str
    name: str
    gender: str | None
    organisation: bool
    prizes: tuple[PrizeEntry, ...]


class LaureatesResponse:
    """One response of `/laureates`. Entries that cannot be read are listed in `problems`."""

    def __init__(self, text: str, address: str) -> None:
        self.address = address
        try:
            answer = json.loads(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            answer = None
        self._answer: dict[str, Any] = answer if isinstance(answer, dict) else {}
        rows = self._answer.get("laureates")
        self._rows: list[Any] | None = rows if isinstance(rows, list) else None
        self.problems: list[str] = []
        entries = [self._entry(row, number) for number, row in enumerate(self._rows or [])]
        self._entries = [entry for entry in entries if entry is not None]

    @property
    def entries(self) -> list[LaureateEntry]:
        """The laureates in the response. Raises NotFound when the list itself is missing."""
        if self._rows is None:
            raise NotFound("list of laureates", "laureates", self.address)
        return self._entries

    @property
    def received(self) -> int:
        """The number of laureates in the response, readable or not."""
        return len(self._rows or [])

    @property
    def count(self) -> int | None:
        """The number of all laureates that the API states; None without one."""
        meta = self._answer.get("meta")
        count = meta.get("count") if isinstance(meta, dict) else None
        if isinstance(count, str) and re.fullmatch(r"[0-9]{1,9}", count):
            count = int(count)
        return count if isinstance(count, int) and not isinstance(count, bool) else None

    def _entry(self, row: Any, number: int) -> LaureateEntry | None:
        """One laureate; None, and a problem, when it cannot be read."""
        if not isinstance(row, dict):
            self.problems.append(f"laureate {number} is not an object")
            return None
        value = row.get("id")
        identity = _word(value)
        if not ID.fullmatch(identity):
            self.problems.append(f"laureate {number} has no usable id (field 'id': {ascii(value)[:40]})")
            return None
        gender = row.get("gender") if row.get("gender") in ("male", "female") else None
        name = english(row.get("orgName"))  # null in a person's entry counts as not there
        organisation = bool(name) or (gender is None and "orgName" in row and "knownName" not in row)
        for field in ("knownName", "fullName", "familyName"):
            name = name or english(row.get(field))
        if not name:
            self.problems.append(f"laureate {identity} has no name (field 'knownName.en')")
        if not organisation and gender is None:
            self.problems.append(f"laureate {identity} is of no known gender (field 'gender')")
        return LaureateEntry(identity, name, gender, organisation, tuple(self._prizes(row, identity)))

    def _prizes(self, row: dict[str, Any], identity: str) -> Iterator[PrizeEntry]:
        """The prizes of a laureate that have a year and a category."""
        prizes = [prize for prize in as_list(row.get("nobelPrizes")) if isinstance(prize, dict)]
        if not prizes:
            self.problems.append(f"laureate {identity} has no prize (field 'nobelPrizes')")
        for prize in prizes:
            year = _word(prize.get("awardYear"))
            category = CATEGORIES.get(english(prize.get("category")).lower())
            if not YEAR.fullmatch(year) or category is None:
                self.problems.append(
                    f"a prize of laureate {identity} has no usable year or category "
                    "(fields 'awardYear', 'category.en')"
                )
                continue
            links = list(self._facts(prize.get("links")))
            if not links:  # older responses: the link is the laureate's, and its path has the year
                links = [link for link in self._facts(row.get("links")) if f"/{year}/" in link]
            if not links:
                self.problems.append(f"laureate {identity} has no link of class '{FACTS_LINK}' for {year}")
            yield PrizeEntry(int(year), category, links[0] if links else None)

    def _facts(self, links: Any) -> Iterator[str]:
        """Addresses in `links` with the class of facts pages, else those with the path of facts pages."""
        known = [link for link in as_list(links) if isinstance(link, dict)]
        marked = [link for link in known if FACTS_LINK in as_list(link.get("class"))]
        for link in marked or known:
            address = absolute(self.address, link.get("href"))
            if address is not None and (marked or address.rstrip("/").endswith("/facts")):
                yield address


def _word(value: Any) -> str:
    """A text or a whole number as text; '' for anything else and for numbers of more than 18 digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else ""
    return value.strip() if isinstance(value, str) else ""
