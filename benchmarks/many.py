"""many: memory and time of `laureate score` over thousands of pictures, written into docs/score.md.

A few hundred pictures are drawn by the simulator, then moved and mirrored until there are enough; the judge
is the independent one, with its real network.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.simulator.portraits import attributes, portrait

PAGE = Path("docs/score.md")
MARKS = re.compile(r"(<!-- many -->\n).*?(<!-- /many -->)", re.DOTALL)
DIFFERENT = 250  # people that are drawn; the others are these, moved and mirrored


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--pictures, --references, --page."""
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000, 10_000], metavar="N")
    parser.add_argument("--references", type=int, default=200, metavar="N")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """One row per number of pictures: seconds, and the most memory that the process held."""
    if not MARKS.search(options.page.read_text(encoding="utf-8")):
        raise LaureateError(f"{options.page} has no part marked <!-- many -->")
    rows = []
    for count in options.pictures:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(Path(folder), count, options.references))
        print(rows[-1], flush=True)
    columns = {
        "n": "pictures",
        "seconds": "seconds",
        "cpu_seconds": "CPU seconds",
        "megabytes": "most memory, MB",
        "kid": "KID",
    }
    table = harness.table(rows, columns, markdown=True)
    load = os.getloadavg()[1]
    said = (
        f"Of 128 px, against {options.references} references, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'not set')}, {os.cpu_count()} cores with a load of {load:.1f}; "
        f"`python -m benchmarks many --pictures {' '.join(map(str, options.pictures))}`."
    )
    page = options.page.read_text(encoding="utf-8")  # as it is now: this took a while
    write_text(options.page, MARKS.sub(lambda m: f"{m[1]}{table}\n\n{said}\n{m[2]}", page))


def measured(folder: Path, count: int, references: int) -> dict[str, object]:
    """Write the pictures, run the command in a process of its own, and read what it held and found."""
    write_pictures(folder / "references", references, first=0)
    write_pictures(folder / "model", count, first=1_000_000)
    command = [sys.executable, "-m", "laureate", "score", "--reference", "references", "model=model"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)}
    start = time.monotonic()
    process = subprocess.Popen([*command, "--json", "table.json"], cwd=folder, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise LaureateError(
            f"laureate score ended with {os.waitstatus_to_exitcode(status)} for {count} pictures"
        )
    row = json.loads((folder / "table.json").read_text(encoding="utf-8"))["rows"][-1]
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "n": row["n"],
        "seconds": round(time.monotonic() - start),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "megabytes": round(usage.ru_maxrss * unit / 1e6),
        "kid": row["kid"],
    }


def write_pictures(folder: Path, count: int, first: int) -> None:
    """PNGs named PROMPT_SEED.png; person number `first` and those after it."""
    from PIL import Image

    folder.mkdir()
    drawn = []
    for number in range(min(count, DIFFERENT)):
        who = attributes.random_attributes(np.random.default_rng(first + number))
        drawn.append(np.asarray(portrait.draw(who, "laureate", first + number)))
    for number in range(count):
        again, person = divmod(number, len(drawn))
        picture = np.roll(drawn[person], (again // 2 % 7 - 3, again // 14 - 3), axis=(0, 1))
        picture = picture[:, ::-1] if again % 2 else picture
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"person-{person}_{again}.png")
