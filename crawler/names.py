"""Names of hosts to addresses: a further host of the site may not be one of this machine or its network."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.resolver import CachingThreadedResolver

from crawler.options import Options


class PublicNames(CachingThreadedResolver):
    """Scrapy's resolver, which looks at the answer."""

    options: Options

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> "PublicNames":
        """Scrapy's way of making one."""
        made = super().from_crawler(crawler, reactor)
        made.options = crawler.settings["LAUREATE"]
        return made

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Any:
        """The address of a name. Fails with OSError for a private one, unless it is the site's own."""
        found = super().getHostByName(name, timeout)
        found.addCallback(self._checked, name)
        return found

    def _checked(self, address: str, name: str) -> str:
        if is_private(address) and not may_be_private(self.options, name):
            raise socket.gaierror(f"{name} leads to the private address {address}")
        return address


def is_private(host: str) -> bool:
    """Whether a host is an address (not a name) that is not of the public internet."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return False


def may_be_private(options: Options, host: str) -> bool:
    """Whether a host is the configured site or API itself, or none that is crawled (a proxy)."""
    own = {urlsplit(address).hostname for address in (options.site, options.api)}
    named = {place.rpartition(":")[0] or place for place in options.places} | options.places
    return host.lower() in own or host.lower() not in named
