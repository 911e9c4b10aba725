"""Simulated prize site: a web server on loopback with the pages and the API of nobelprize.org."""
