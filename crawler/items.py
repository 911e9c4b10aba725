"""What the spider yields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Portrait:
    """A portrait on a facts page; `body` holds its bytes as received, None where its kind is not wanted."""

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
        """Laureate id, year and category: what a portrait is called, since some people won twice."""
        return f"{self.id}-{self.year}-{self.category}"


@dataclass(frozen=True)
class Fault:
    """Something that was not as it should be. `about` is api, list, page, picture or check."""

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
    """Something that was left out on purpose, and why."""

    what: str
    reason: str
