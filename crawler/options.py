"""Options of one crawl, passed as JSON from the stage to the crawling process."""

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
    state: str  # folder of the response store, the lock and the log
    known_as: str | None = None  # the address that the outputs give for `site`; None: its own
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
    fresh: float = 0.0  # hours for which a stored response is used without asking

    def to_json(self) -> str:
        """These options as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Options":
        """The options that `to_json` wrote."""
        values = json.loads(text)
        for name in ("hosts", "years", "categories", "kinds"):
            values[name] = tuple(values[name])
        values["credits"] = tuple((kind, pattern) for kind, pattern in values["credits"])
        return cls(**values)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The `host:port` of every address that may be requested."""
        more = (host_and_port(host if "://" in host else f"https://{host}") for host in self.hosts)
        return frozenset(host_and_port(address) for address in (self.site, self.api)) | frozenset(more)

    def excludes(self, year: int, category: str) -> str | None:
        """The parameter that leaves a prize out, `crawl.years` or `crawl.categories`; None for neither."""
        first, last = self.years
        if (first is not None and year < first) or (last is not None and year > last):
            return "crawl.years"
        return None if category in self.categories else "crawl.categories"

    def public(self, address: str) -> str:
        """An address as the outputs give it: `known_as` in place of a site on a temporary port."""
        if self.known_as is None or not address.startswith(self.site):
            return address
        return self.known_as + address[len(self.site) :]

    def kind(self, credit: str) -> str:
        """The kind of a picture by its credit line: `illustration`, `photograph`, or `unknown`."""
        kinds = [kind for kind, pattern in self.credits if re.search(pattern, credit)]
        return kinds[0] if len(kinds) == 1 else "unknown"


def host_and_port(address: str) -> str:
    """The `host`, or `host:port` where the port is not the usual one, in lower case. Raises ValueError."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    usual = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return host if usual else f"{host}:{parts.port}"


def is_private(host: str) -> bool:
    """Whether a host is an address of this machine or its network, without a DNS query."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
