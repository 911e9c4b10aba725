"""DNS resolver that refuses private addresses for the names of a public site."""

import ipaddress
from typing import Any

from scrapy.crawler import Crawler
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.error import DNSLookupError

from crawler.options import Options


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver with a check of the address that it finds.

    Only the names of allowed hosts are checked: a proxy may be on this network.
    """

    guarded: frozenset[str] = frozenset()

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> "PublicResolver":
        """Make the object, as Scrapy asks for it."""
        made = super().from_crawler(crawler, reactor)
        options: Options = crawler.settings["LAUREATE"]
        if not options.private:
            made.guarded = frozenset(where.partition(":")[0] for where in options.allowed_hosts)
        return made

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        """Name => Deferred of its IPv4 address, or of DNSLookupError for one that is not public."""
        deferred = super().getHostByName(name, timeout)
        if name.lower() in self.guarded:
            deferred.addCallback(_public, name)
        return deferred


def _public(address: str, name: str) -> str:
    """The address, if it is global. Raises DNSLookupError if it is not."""
    if not ipaddress.ip_address(address).is_global:
        raise DNSLookupError(f"{name} resolves to {address}, an address of this machine or network")
    return address
