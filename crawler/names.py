"""Names of hosts to addresses: a public site may not lead to this machine or into its network."""

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
        """The address of a name. Fails with OSError for a private one, unless the site is private."""
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
    """Whether a host may be in a private network: the site is there, or it is a proxy's."""
    own = urlsplit(options.site).hostname or ""
    named = {urlsplit(f"//{place}").hostname for place in options.places}
    return own == "localhost" or is_private(own) or host.lower() not in named
