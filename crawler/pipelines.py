"""Where items end up: pictures are checked, and everything is written down when the crawl ends."""

import hashlib
from collections import Counter
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem
from scrapy.http import Response
from twisted.python.failure import Failure

from crawler.items import Excluded, Fault, Portrait, Skipped
from crawler.options import Options
from crawler.response_store import Kept
from laureate.core.files import write_json
from laureate.imaging.image_io import FORMATS, PictureError, identify

RESULT = "result.json"


class Check:
    """A picture must be one. Its bytes stay as they were received, in the kept store, by their hash."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Check":
        """Scrapy's way of making one."""
        return cls(crawler)

    def process_item(self, item: Any) -> Any:
        """Give the row of a good portrait; turn one whose picture is broken into a fault."""
        if not isinstance(item, Portrait):
            return item
        row = {name: value for name, value in vars(item).items() if name != "body"}
        if item.body is None:
            return row | {"file": None, "sha256": None, "size": None}
        try:
            found = identify(item.body, self.options.megapixels)
        except PictureError as error:
            Kept(self.options.state).forget(item.image)  # ask for it again next time
            return Fault("picture", item.image, f"the portrait on {item.page}: {error}")
        return row | {
            "file": f"{item.key}.{FORMATS[found.format]}",
            "sha256": hashlib.sha256(item.body).hexdigest(),
            "size": len(item.body),
        }


class Collect:
    """Gathers rows, faults and what was skipped; writes `result.json` into the state folder at the end."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]
        self.rows: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.skipped: list[Skipped] = []
        self.excluded: Counter[Excluded] = Counter()
        crawler.signals.connect(self.write, signal=signals.spider_closed)
        crawler.signals.connect(self.broken, signal=signals.spider_error)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Collect":
        """Scrapy's way of making one."""
        return cls(crawler)

    def process_item(self, item: Any) -> Any:
        """Put an item where it belongs."""
        if isinstance(item, Fault):
            self.faults.append(item)
        elif isinstance(item, Skipped):
            self.skipped.append(item)
        elif isinstance(item, Excluded):
            self.excluded[item] += 1
        elif isinstance(item, dict):
            self.rows.append(item)
        else:
            raise DropItem(f"what is {type(item).__name__}?")
        return item

    def broken(self, failure: Failure, response: Response) -> None:
        """An error of the crawler's own is a fault of the page where it happened, told as any other."""
        reason = f"the crawler failed here: {failure.type.__name__}: {failure.getErrorMessage()}"
        self.faults.append(Fault(response.meta["about"], self.options.public(response.url), reason[:300]))

    def write(self, reason: str) -> None:
        """The result, sorted so that it does not depend on the order of answers."""
        assert self.crawler.stats is not None
        stats = self.crawler.stats.get_stats()
        result = {
            "reason": reason,
            "robots": stats.get("laureate/robots"),
            "rows": sorted(self.rows, key=lambda row: (_natural(row["id"]), row["year"], row["category"])),
            "faults": sorted(
                (asdict(f) for f in self.faults), key=lambda f: (f["about"], f["address"], f["reason"])
            ),
            "skipped": sorted((asdict(s) for s in self.skipped), key=lambda s: (s["what"], s["reason"])),
            "excluded": [
                asdict(prize) | {"prizes": count}
                for prize, count in sorted(self.excluded.items(), key=lambda pair: astuple(pair[0]))
            ],
            "requests": int(stats.get("downloader/request_count", 0)),
            "bytes": int(stats.get("downloader/response_bytes", 0)),
            "fetched": _by_kind(stats, "fetched"),
            "kept": _by_kind(stats, "kept"),
        }
        write_json(Path(self.options.state) / RESULT, result)


def _natural(identity: str) -> tuple[int, str]:
    """Numbers in order of size, before anything else."""
    return (int(identity), "") if identity.isdecimal() else (10**18, identity)


def _by_kind(stats: dict[str, Any], what: str) -> dict[str, int]:
    """Counts of answers by what they were about."""
    return {
        about: int(stats.get(f"laureate/{what}/{about}", 0)) for about in ("api", "list", "page", "picture")
    }
