"""The museum: a web server on loopback in the shape of nobelprize.org and its API."""
