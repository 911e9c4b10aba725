"""What the crawling process tells the one that started it: a line of JSON on stdout for every step."""

import json
import sys


def tell(event: str, **values: int) -> None:
    """Say that something happened: `pages` (total), `page`, `picture`."""
    print(json.dumps({"event": event, **values}), flush=True, file=sys.stdout)
