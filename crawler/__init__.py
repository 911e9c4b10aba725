"""Scrapy project that crawls the prize site: API and page parsers, spider, politeness, response store."""
