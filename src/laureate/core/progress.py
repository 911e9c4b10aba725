"""Progress bars with the remaining time."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield `items` and show a bar with the remaining time on stderr.

    Where stderr is not a terminal (a log, DVC in CI) the bar is drawn every ten seconds only.
    """
    from tqdm import tqdm  # late: `laureate --help` does not need it

    interval = 0.1 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, total=total, desc=label, mininterval=interval, dynamic_ncols=True, leave=True)
