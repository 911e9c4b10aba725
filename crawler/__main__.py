"""The crawling process: options as JSON in, steps as lines of JSON out, the result in the state folder.

Scrapy's reactor cannot be started twice in one process, so every crawl has its own. It ends with the process
that started it: when that goes, however it goes, standard input closes.
"""

import os
import sys
import threading

from scrapy.crawler import CrawlerProcess

from crawler.options import Options
from crawler.settings import settings
from crawler.spider import LaureateSpider


def main() -> None:
    """Options and the crawl's name are the first two lines of standard input."""
    options = Options.from_json(sys.stdin.readline())
    crawl = sys.stdin.readline().strip()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    process = CrawlerProcess(settings(options, crawl))
    process.crawl(LaureateSpider, options=options)
    process.start()


def _end_with_parent() -> None:
    """Wait until standard input closes, then leave at once: what is kept is whole at any moment."""
    sys.stdin.read()
    os._exit(3)


if __name__ == "__main__":
    main()
