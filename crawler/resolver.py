"""Names to addresses: a public site's name that leads to this machine or network is not followed."""

import ipaddress
from typing import Any

from scrapy.crawler import Crawler
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.error import DNSLookupError

from crawler.options import Options


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver, which also looks at what it found.

    Only the names that may be asked are looked at: a proxy may well be on this network.
    """

    guarded: frozenset[str] = frozenset()

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> "PublicResolver":
        """Scrapy's way of making one."""
        made = super().from_crawler(crawler, reactor)
        options: Options = crawler.settings["LAUREATE"]
        if not options.private:
            made.guarded = frozenset(where.partition(":")[0] for where in options.places)
        return made

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        """Name => Deferred of its IPv4 address, or of DNSLookupError for one that is not public."""
        found = super().getHostByName(name, timeout)
        if name.lower() in self.guarded:
            found.addCallback(_public, name)
        return found


def _public(address: str, name: str) -> str:
    """Give the address back if the whole internet may reach it. Raises DNSLookupError."""
    if not ipaddress.ip_address(address).is_global:
        raise DNSLookupError(f"{name} leads to {address}, an address of this machine or network")
    return address
