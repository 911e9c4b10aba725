"""Scrapy's settings for a crawl: polite, and with nothing open that is not needed."""

from pathlib import Path
from typing import Any

from crawler.options import Options


def settings(options: Options, crawl: str) -> dict[str, Any]:
    """Settings for one crawl; `crawl` names it in the kept store."""
    return {
        "LAUREATE": options,
        "LAUREATE_CRAWL": crawl,
        "BOT_NAME": "laureate",
        # manners
        "USER_AGENT": options.agent,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": 1,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_DELAY": options.delay,
        "RANDOMIZE_DOWNLOAD_DELAY": False,  # it would halve some of them
        "AUTOTHROTTLE_ENABLED": options.delay > 0,
        "AUTOTHROTTLE_START_DELAY": options.delay,
        "COOKIES_ENABLED": False,
        "REFERRER_POLICY": "no-referrer",
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware": None,
            "crawler.middlewares.Hosts": 50,
            "crawler.middlewares.Robots": 100,
            "crawler.middlewares.Patience": 550,
            "crawler.cache_middleware.Remember": 585,
        },
        "ITEM_PIPELINES": {"crawler.pipelines.Check": 100, "crawler.pipelines.Collect": 200},
        # safety
        "DOWNLOAD_HANDLERS": {"data": None, "file": None, "ftp": None, "s3": None},
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DNS_RESOLVER": "crawler.resolver.PublicResolver",
        "DOWNLOAD_TIMEOUT": options.timeout,
        "DOWNLOAD_MAXSIZE": int(options.megabytes * 2**20),
        "DOWNLOAD_WARNSIZE": 0,
        "METAREFRESH_ENABLED": False,
        "REDIRECT_MAX_TIMES": 5,
        "HTTPPROXY_ENABLED": options.behind_proxy,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "MEMUSAGE_ENABLED": False,
        # the log is for when something went wrong
        "LOG_FILE": str(Path(options.state) / "crawl.log"),
        "LOG_FILE_APPEND": False,
        "LOG_LEVEL": "INFO",
        "LOGSTATS_INTERVAL": 0,
    }
