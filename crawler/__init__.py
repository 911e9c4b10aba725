"""The Scrapy project: pages hold selectors, the spider follows and yields, pipelines store."""
