"""Progress events of the crawling process: one line of JSON per event on standard output."""

import json
import sys


def emit(event: str, **values: int) -> None:
    """Write an event: `pages` (with `total`), `page` or `picture`."""
    print(json.dumps({"event": event, **values}), flush=True, file=sys.stdout)
