"""Item pipelines: check every picture, and write the result when the crawl ends."""

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
from crawler.response_store import ResponseStore
from crawler.state import RESULT
from laureate.core.files import write_json
from laureate.imaging.image_io import FORMATS, PictureError, identify


class PictureCheck:
    """Turns portraits into rows, and pictures that cannot be decoded into faults."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "PictureCheck":
        """Make the object, as Scrapy asks for it."""
        return cls(crawler)

    def process_item(self, item: Any) -> Any:
        """The row of a portrait; a Fault where its picture cannot be decoded."""
        if not isinstance(item, Portrait):
            return item
        row = {name: value for name, value in vars(item).items() if name != "body"}
        if item.body is None:
            return row | {"file": None, "sha256": None, "size": None}
        try:
            info = identify(item.body, self.options.megapixels)
            file = f"{item.key}.{FORMATS[info.format]}"
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, it must not be lost unseen
            ResponseStore(self.options.state).forget(item.image)  # request it again next time
            kind = "" if isinstance(error, PictureError) else f"the crawler failed: {type(error).__name__}: "
            return Fault("picture", item.image, f"the portrait on {item.page}: {kind}{error}"[:500])
        return row | {
            "file": file,
            "sha256": hashlib.sha256(item.body).hexdigest(),
            "size": len(item.body),
        }


class ResultWriter:
    """Collects items; writes `result.json` into the state folder when the spider closes."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.options: Options = crawler.settings["LAUREATE"]
        self.rows: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.skipped: list[Skipped] = []
        self.excluded: Counter[Excluded] = Counter()
        crawler.signals.connect(self.write, signal=signals.spider_closed)
        crawler.signals.connect(self.add_error, signal=signals.spider_error)
        crawler.signals.connect(self.add_item_error, signal=signals.item_error)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "ResultWriter":
        """Make the object, as Scrapy asks for it."""
        return cls(crawler)

    def process_item(self, item: Any) -> Any:
        """Add an item to its list."""
        if isinstance(item, Fault):
            self.faults.append(item)
        elif isinstance(item, Skipped):
            self.skipped.append(item)
        elif isinstance(item, Excluded):
            self.excluded[item] += 1
        elif isinstance(item, dict):
            self.rows.append(item)
        else:
            raise DropItem(f"unknown item {type(item).__name__}")
        return item

    def add_error(self, failure: Failure, response: Response) -> None:
        """Record an exception in the spider as a fault of the page where it was raised."""
        reason = f"the crawler failed here: {failure.type.__name__}: {failure.getErrorMessage()}"
        self.faults.append(Fault(response.meta["about"], self.options.public(response.url), reason[:300]))

    def add_item_error(self, item: Any, failure: Failure) -> None:
        """Record an exception in a pipeline as a fault of the picture, or of the page, that it was about."""
        row = item if isinstance(item, dict) else vars(item)
        address = str(row.get("image") or row.get("address") or self.options.site)
        reason = f"the crawler failed here: {failure.type.__name__}: {failure.getErrorMessage()}"
        self.faults.append(Fault("picture", self.options.public(address), reason[:300]))

    def write(self, reason: str) -> None:
        """Write the result, sorted so that it does not depend on the order of responses."""
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
            "reused": _by_kind(stats, "reused"),
        }
        write_json(Path(self.options.state) / RESULT, result)


def _natural(identity: str) -> tuple[int, str]:
    """Sort key: numbers by value, before other ids."""
    return (int(identity), "") if identity.isdecimal() else (10**18, identity)


def _by_kind(stats: dict[str, Any], what: str) -> dict[str, int]:
    """Number of responses by their subject."""
    return {
        about: int(stats.get(f"laureate/{what}/{about}", 0)) for about in ("api", "list", "page", "picture")
    }
