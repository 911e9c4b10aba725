"""Resolve `crawl.site` to addresses; `museum` starts the simulated site."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from laureate.core.errors import ParameterError

MUSEUM = "museum"
APIS = {"www.nobelprize.org": "https://api.nobelprize.org/2.1"}


@dataclass(frozen=True)
class Site:
    """Addresses of a site's pages and API, without a final slash; `known_as`: the address in the outputs."""

    address: str
    api: str
    known_as: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether pages and API are on this machine or its network, by their address alone."""
        return _is_local(self.address) and _is_local(self.api)


@contextmanager
def opened(name: str, api: str | None) -> Iterator[Site]:
    """The site `name`, an address or `museum`, while the block runs.

    The museum is started on a free port and stopped at the end; the outputs give the address at which
    `laureate museum` serves it. Raises ParameterError when `name` or `api` is not an address.
    """
    if name != MUSEUM:
        yield _named(name, api)
        return
    from laureate.simulator.museum import server

    with server.opened() as address:
        yield Site(address, f"{address}/2.1", f"http://127.0.0.1:{server.PORT}")


def _named(name: str, api: str | None) -> Site:
    """A site by its address; the API of known and of local sites is added."""
    host = _host(name, "crawl.site (--site)")
    api = api or APIS.get(host) or (f"{name.rstrip('/')}/2.1" if _is_local(name) else None)
    if api is None:
        raise ParameterError(
            f"crawl.api (--api) must say where the API of {name} is: the part before /laureates"
        )
    _host(api, "crawl.api (--api)")
    return Site(name.rstrip("/"), api.rstrip("/"))


def _host(address: str, key: str) -> str:
    """The host of an http(s) address."""
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0:
            return parts.hostname
    except ValueError:
        pass
    raise ParameterError(f"{key} must be an address such as https://www.nobelprize.org, got {address!r}")


def _is_local(address: str) -> bool:
    """Whether an address is of this machine or its network."""
    host = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"
