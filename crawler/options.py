"""What one crawl is asked to do: plain values that travel as JSON from the stage to the crawling process."""

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

KINDS = ("illustration", "photograph", "unknown")


@dataclass(frozen=True)
class Options:
    """One crawl. Sizes are in the unit of their name, times in seconds; `credits` maps a kind to a regex."""

    site: str  # where the pages are, such as https://www.nobelprize.org
    api: str  # the part before /laureates, such as https://api.nobelprize.org/2.1
    state: str  # folder for what is kept between crawls
    known_as: str | None = None  # the name under which `site` is written down; None: as it is
    behind_proxy: bool = False  # whether the environment's proxy is used
    private: bool = False  # whether the site is on this machine or network, so that its addresses may be
    list_path: str = "/prizes/lists/all-nobel-prizes/all/"
    hosts: tuple[str, ...] = ()  # further hosts that pictures may come from
    years: tuple[int | None, int | None] = (1901, None)  # first and last year of the prizes; None: open
    categories: tuple[str, ...] = ("phy", "che", "med", "lit", "pea", "eco")
    kinds: tuple[str, ...] = ("illustration",)
    limit: int | None = None
    credits: tuple[tuple[str, str], ...] = (
        ("illustration", r"(?i)\bill(\.|:|ustrat)"),
        ("photograph", r"(?i)\bphoto"),
    )
    agent: str = "laureate"
    delay: float = 1.0
    timeout: float = 30.0
    retries: int = 2
    backoff: float = 1.0
    longest_wait: float = 120.0
    megabytes: float = 20.0
    megapixels: float = 50.0
    refusals: int = 5
    page_size: int = 100
    fresh: float = 0.0  # hours for which an answer is not asked for again

    def to_json(self) -> str:
        """These options as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Options":
        """The options behind `to_json`."""
        values = json.loads(text)
        for name in ("hosts", "years", "categories", "kinds"):
            values[name] = tuple(values[name])
        values["credits"] = tuple((kind, pattern) for kind, pattern in values["credits"])
        return cls(**values)

    @property
    def places(self) -> frozenset[str]:
        """The `host:port` of every address that may be asked."""
        more = (place(host if "://" in host else f"https://{host}") for host in self.hosts)
        return frozenset(place(address) for address in (self.site, self.api)) | frozenset(more)

    def excludes(self, year: int, category: str) -> str | None:
        """The parameter that leaves a prize out, `crawl.years` or `crawl.categories`; None for neither."""
        first, last = self.years
        if (first is not None and year < first) or (last is not None and year > last):
            return "crawl.years"
        return None if category in self.categories else "crawl.categories"

    def public(self, address: str) -> str:
        """An address as it is written down: a site on a passing port has a lasting name."""
        if self.known_as is None or not address.startswith(self.site):
            return address
        return self.known_as + address[len(self.site) :]

    def kind(self, credit: str) -> str:
        """What a credit line says a picture is: `illustration`, `photograph`, or `unknown` when unclear."""
        kinds = [kind for kind, pattern in self.credits if re.search(pattern, credit)]
        return kinds[0] if len(kinds) == 1 else "unknown"


def place(address: str) -> str:
    """The `host`, or `host:port` where the port is not the usual one, in lower case. Raises ValueError."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    usual = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return host if usual else f"{host}:{parts.port}"


def is_private(host: str) -> bool:
    """Whether a host is an address of this machine or network, as far as it can be told without asking."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
