"""The crawling process: options as JSON on stdin, progress events on stdout, result in the state folder.

Scrapy's reactor cannot be started twice in one process, so every crawl has a process of its own. It ends when
its standard input closes, so it never outlives the process that started it.
"""

import os
import sys
import threading

from scrapy.crawler import CrawlerProcess

from crawler.options import Options
from crawler.settings import settings
from crawler.spider import LaureateSpider


def main() -> None:
    """Read the options and the crawl's name, the first two lines of standard input, and crawl."""
    options = Options.from_json(sys.stdin.readline())
    crawl = sys.stdin.readline().strip()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    process = CrawlerProcess(settings(options, crawl))
    process.crawl(LaureateSpider, options=options)
    process.start()


def _end_with_parent() -> None:
    """Wait until standard input closes, then exit at once: the response store is always consistent."""
    sys.stdin.read()
    os._exit(3)


if __name__ == "__main__":
    main()
