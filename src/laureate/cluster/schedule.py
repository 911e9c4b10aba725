"""List scheduling: when and where each task would start, as Ray would place it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from laureate.cluster.tasks import Resources, Task


@dataclass(frozen=True)
class Placement:
    """One task on one node."""

    task: str
    node: int
    start: float  # seconds after the first start
    end: float


def schedule(
    tasks: Sequence[Task], nodes: Sequence[Resources], seconds: Mapping[str, float]
) -> list[Placement]:
    """Start every task on the first node with room as soon as its inputs are there; earlier tasks go first.

    `seconds`: of each task by name. Raises ValueError for a task that fits no node, and for a circle.
    """
    free = [[node.cpus, node.gpus, node.memory] for node in nodes]
    waiting = list(tasks)
    done: set[str] = set()
    running: list[tuple[float, int, str, int, tuple[int, int, int]]] = []
    placed: list[Placement] = []
    now = 0.0
    while waiting or running:
        still = []
        for task in waiting:
            claim = (task.resources.cpus, task.resources.gpus, task.resources.memory)
            ready = all(need in done for need in task.needs)
            fits = (
                index
                for index, left in enumerate(free)
                if all(c <= f for c, f in zip(claim, left, strict=True))
            )
            node = next(fits, None) if ready else None
            if node is None:
                still.append(task)
                continue
            free[node] = [f - c for c, f in zip(claim, free[node], strict=True)]
            placed.append(Placement(task.name, node, now, now + seconds[task.name]))
            heapq.heappush(running, (now + seconds[task.name], len(placed), task.name, node, claim))
        waiting = still
        if not running:
            if waiting:
                raise ValueError(f"no node has room for {waiting[0].name}, or its inputs never come")
            break
        now, _, name, node, claim = heapq.heappop(running)
        done.add(name)
        free[node] = [f + c for c, f in zip(claim, free[node], strict=True)]
    return placed
