"""Pieces of work side by side on a CPU, each by a thread that numeric libraries give its own cores.

The threads of one product wait for each other many times in every layer. Where another process wants a core
too, all of them wait whenever one has none. Workers wait at the end of a piece only, so that they are slowed
by no more than what the other process takes; and a small network has products too small to divide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield the result of every item in order; `workers` of them are worked on at once.

    With one worker or one item, work runs in the caller's thread with all threads of its own. An error of a
    piece is raised here; pieces that have not begun are then left out, as they are where the caller stops.
    """
    import torch

    waiting = list(items)
    threads, workers = torch.get_num_threads(), min(workers, len(waiting))
    if workers < 2:
        yield from map(work, waiting)
        return
    own = max(1, threads // workers)
    try:
        with ThreadPoolExecutor(workers, "worker", torch.set_num_threads, (own,)) as pool:
            begun: deque[Future[Result]] = deque()
            try:
                for item in waiting:
                    if len(begun) > 2 * workers:  # results that nobody has taken yet
                        yield begun.popleft().result()
                    begun.append(pool.submit(work, item))
                while begun:
                    yield begun.popleft().result()
            finally:
                for future in begun:
                    future.cancel()
    finally:
        torch.set_num_threads(threads)  # the number of this thread, but also of those begun from now on
