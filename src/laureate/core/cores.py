"""How many cores this process may use, and how the threads of numeric libraries share them."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
# libgomp's threads turn in a circle while they wait for each other, by default for some milliseconds: where
# another process wants a core too, they keep the thread that they wait for from it. About 0.05 ms is enough
# to bridge the gap between two products.
SPINS = 20_000


def usable(root: Path = CGROUP, own: Path = OWN_GROUP) -> int:
    """The cores of the process's affinity mask, or of its control group's quota if that is less; at least 1.

    `root`, `own`: where the system shows control groups, and which of them the process is in.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [ceil(share) for share in _quotas(root, own)]
    return max(1, min([cores, *shares]))


def share_cores(threads: int | None, environment: MutableMapping[str, str]) -> None:
    """Set how many threads numeric libraries start, and that these sleep soon when they wait.

    To be called before torch or NumPy is imported: they read `environment` once. `threads`: None for
    `usable`. What the user has set there already stays.
    """
    environment.setdefault("OMP_NUM_THREADS", str(threads or usable()))
    environment.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _quotas(root: Path, own: Path) -> list[float]:
    """Cores that the quotas of the control group and of those that it lies in allow (version 2, or 1)."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):  # no Linux
        return []
    found = []
    for line in lines:
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root if not controllers else root / "cpu"
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            found += _quota(folder)
            if folder == top:
                break
    return found


def _quota(group: Path) -> list[float]:
    """The quota of one control group in cores; empty where it has none."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        share = float(quota) / float(period)  # "max" is no number: no quota
    except (OSError, ValueError, ZeroDivisionError):
        return []
    return [share] if share > 0 else []
