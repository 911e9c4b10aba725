"""What all benchmarks share: interleaved timing, the machine, counted FLOPs, a table and a JSON file.

A result is a list of rows, each a flat mapping, and the titles of those columns that are worth a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.files import write_json

if TYPE_CHECKING:
    import torch

RESULTS = Path("benchmarks/results")
PACKAGES = ("torch", "diffusers", "peft", "transformers", "accelerate", "numpy", "scipy", "clean-fid")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")
Row = Mapping[str, Any]


def add_common(parser: argparse.ArgumentParser, repeats: int = 5) -> None:
    """The options of every benchmark: --base, --repeats, --quick, --out."""
    parser.add_argument(
        "--base",
        default="embedded",
        metavar="BASE",
        help="embedded, sd21-random (SD 2.1's shape with random weights, for a GPU) or a base folder",
    )
    parser.add_argument("--repeats", type=int, default=repeats, metavar="N", help=f"default: {repeats}")
    parser.add_argument("--quick", action="store_true", help="little work, to see that it runs")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"the JSON file (default: {RESULTS}/NAME-BASE-DEVICE.json)"
    )


def interleaved(
    work: Mapping[str, Callable[[], Any]], repeats: int, *, warm: int = 1
) -> dict[str, list[float]]:
    """Seconds of every contestant, `repeats` times each, in turns: what slows the machine slows all alike.

    Every second round runs in the opposite order. `warm` rounds before are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(-warm, repeats):
        for name in list(work)[:: -1 if turn % 2 else 1]:
            taken = timed(work[name])
            if turn >= 0:
                seconds[name].append(taken)
    return seconds


def timed(function: Callable[[], Any]) -> float:
    """Seconds that a call takes, with the work that it leaves to a GPU."""
    _wait()
    start = time.perf_counter()
    function()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    """Let a GPU finish."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def spread(values: Sequence[float], name: str) -> dict[str, float]:
    """Median and quartiles: NAME, NAME_low, NAME_high."""
    if len(values) == 1:
        return {name: values[0], f"{name}_low": values[0], f"{name}_high": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {name: middle, f"{name}_low": low, f"{name}_high": high}


def against(seconds: Mapping[str, Sequence[float]], ours: str, peer: str) -> dict[str, float]:
    """Both times and `ratio`, how many times faster ours is: round by round, then median and quartiles."""
    ratios = [theirs / own for own, theirs in zip(seconds[ours], seconds[peer], strict=True)]
    return (
        spread(seconds[ours], "ours_seconds")
        | spread(seconds[peer], "peer_seconds")
        | spread(ratios, "ratio")
    )


def flops(function: Callable[[], Any]) -> int:
    """Floating point operations of a call, forward and backward, as torch counts them (a product is two)."""
    from laureate.commands.operation_counts import counter

    with counter() as counted:
        function()
    return int(counted.get_total_flops())


def matrix_rate(where: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """FLOP/s of a large product of square matrices, the best of some: what a network can come near."""
    import torch

    side = 8192 if where.type == "cuda" else 2048
    a = torch.randn(side, side, device=where).to(dtype)
    b = torch.randn(side, side, device=where).to(dtype)
    with torch.inference_mode():
        best = min(timed(lambda: torch.mm(a, b)) for _ in range(repeats + 1))
    return 2 * side**3 / best


def machine() -> dict[str, Any]:
    """Processor, cores and what they know, memory, and the GPU if there is one."""
    import torch

    facts: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "features": []}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" in values:
        # hypervisors like to hide the name; family and model tell it
        numbers = f"family {values.get('cpu family', '?')} model {values.get('model', '?')}"
        facts["cpu"] = f"{values['model name']}, {numbers}"
    flags = values.get("flags", values.get("Features", "")).split()
    facts["features"] = [flag for flag in FEATURES if flag in flags]
    facts["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts["threads"] = torch.get_num_threads()
    facts["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    facts["load"] = round(os.getloadavg()[0], 2)  # what else ran when the benchmark was over, and itself
    facts["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return facts


def versions() -> dict[str, str]:
    """The packages that speed depends on, and Python."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def report(
    name: str,
    options: argparse.Namespace,
    rows: Sequence[Row],
    columns: Mapping[str, str],
    *,
    beside: Mapping[str, tuple[Sequence[Row], Mapping[str, str]]] | None = None,
    **more: Any,
) -> Path:
    """Print the table and write everything as JSON; gives the file.

    `columns`: key in a row => its title in the table. `beside`: further tables by name, each as rows and
    columns. `more`: what else belongs into the JSON.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = Path(str(getattr(options, "base", "embedded"))).name
    target = options.out or RESULTS / f"{name}-{base}-{device}.json"
    asked = {key: value for key, value in vars(options).items() if key not in ("name", "out")}
    result = {
        "benchmark": name,
        "options": {key: _said(value) for key, value in asked.items()},
        "machine": machine(),
        "versions": versions(),
        **more,
        "columns": list(map(list, columns.items())),  # pairs: JSON is written with sorted keys
        "rows": [dict(row) for row in rows],
    }
    print(table(rows, columns))
    for title, (others, titles) in (beside or {}).items():
        result.setdefault("beside", {})[title] = {
            "columns": list(map(list, titles.items())),
            "rows": list(map(dict, others)),
        }
        print(f"\n{title}:\n{table(others, titles)}")
    write_json(target, result)
    print(f"\n{target}")
    return Path(target)


def _said(value: Any) -> Any:
    """An option for JSON. Of a file that lies elsewhere the name: its folder is of this machine only."""
    if isinstance(value, list):
        return [_said(each) for each in value]
    path = Path(value) if isinstance(value, str | Path) else None
    return value if path is None else path.name if path.is_absolute() else str(value)


def read(path: Path) -> dict[str, Any]:
    """A result that `report` wrote."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def table(rows: Sequence[Row], columns: Mapping[str, str], *, markdown: bool = False) -> str:
    """Rows as aligned text, or as a table of Markdown."""
    cells = [list(columns.values())] + [[show(row.get(key)) for key in columns] for row in rows]
    if markdown:
        lines = [f"| {' | '.join(line)} |" for line in cells]
        return "\n".join([lines[0], "|" + "--:|" * len(columns), *lines[1:]])
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )


def show(value: Any) -> str:
    """A value for a table: three digits of a number, 1.2e-05 for a small one."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def paragraph(text: str) -> str:
    """Text for a page of the docs, in lines of 110 characters."""
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)


def interval(value: float, low: float, high: float, form: str = "+.4f") -> str:
    """A value with its interval, each in the format `form`: +0.012 (−0.003 to +0.021)."""
    of, start, end = (f"{number:{form}}".replace("-", "−") for number in (value, low, high))
    return f"{of} ({start} to {end})"
