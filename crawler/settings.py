"""Scrapy settings of a crawl: politeness and safety."""

from pathlib import Path
from typing import Any

from crawler.cache_middleware import ResponseCache
from crawler.middlewares import AllowedHosts, CrawlDelay, RetryWithBackoff, StrictRobotsTxt
from crawler.options import Options
from crawler.pipelines import PictureCheck, ResultWriter
from crawler.resolver import PublicResolver


def settings(options: Options, crawl: str) -> dict[str, Any]:
    """Settings of one crawl; `crawl` names it in the response store."""
    return {
        "LAUREATE": options,
        "LAUREATE_CRAWL": crawl,
        "LAUREATE_DELAYS": {},  # host:port => seconds, by robots.txt
        "BOT_NAME": "laureate",
        # politeness
        "USER_AGENT": options.agent,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": 1,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_DELAY": options.delay,
        "RANDOMIZE_DOWNLOAD_DELAY": False,  # it would shorten some delays to half
        "AUTOTHROTTLE_ENABLED": options.delay > 0,
        "AUTOTHROTTLE_START_DELAY": options.delay,
        "COOKIES_ENABLED": False,
        "REFERRER_POLICY": "no-referrer",
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware": None,
            AllowedHosts: 50,
            StrictRobotsTxt: 100,
            RetryWithBackoff: 550,
            ResponseCache: 585,
            CrawlDelay: 595,  # after the cache: what is stored waits for nobody
        },
        "ITEM_PIPELINES": {PictureCheck: 100, ResultWriter: 200},
        # safety
        "DOWNLOAD_HANDLERS": {"data": None, "file": None, "ftp": None, "s3": None},
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DNS_RESOLVER": PublicResolver,
        "DOWNLOAD_TIMEOUT": options.timeout,
        "DOWNLOAD_MAXSIZE": int(options.megabytes * 2**20),
        "DOWNLOAD_WARNSIZE": 0,
        "METAREFRESH_ENABLED": False,
        "REDIRECT_MAX_TIMES": 5,
        "HTTPPROXY_ENABLED": options.behind_proxy,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "MEMUSAGE_ENABLED": False,
        # the log, for diagnosis
        "LOG_FILE": str(Path(options.state) / "crawl.log"),
        "LOG_FILE_APPEND": False,
        "LOG_LEVEL": "INFO",
        "LOGSTATS_INTERVAL": 0,
    }
