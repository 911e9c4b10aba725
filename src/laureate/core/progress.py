"""Progress bars that say how long is left."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield `items`, showing a bar with the time left on stderr.

    Where stderr is not a terminal (a log, DVC in CI) the bar is drawn every ten seconds only.
    """
    from tqdm import tqdm  # late: `laureate --help` does without

    interval = 0.1 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, total=total, desc=label, mininterval=interval, dynamic_ncols=True, leave=True)
