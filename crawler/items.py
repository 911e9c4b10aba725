"""Items that the spider yields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Portrait:
    """A portrait on a facts page; `body` is its bytes as received, None where its kind is not wanted."""

    id: str
    name: str
    gender: str | None
    year: int
    category: str
    page: str
    image: str
    credit: str
    kind: str
    body: bytes | None

    @property
    def key(self) -> str:
        """Laureate id, year and category: the name of a portrait, as some people won twice."""
        return f"{self.id}-{self.year}-{self.category}"


@dataclass(frozen=True)
class Fault:
    """Something unexpected or missing. `about` is api, list, page, picture or check."""

    about: str
    address: str
    reason: str


@dataclass(frozen=True)
class Excluded:
    """A prize that the parameter `by` leaves out: crawl.years, crawl.categories or crawl.limit."""

    by: str
    year: int
    category: str


@dataclass(frozen=True)
class Skipped:
    """Something that was left out on purpose, with the reason."""

    what: str
    reason: str
