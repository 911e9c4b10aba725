"""cluster: `laureate cluster` on this host against `dvc repro`, and a simulation of a thousand studies.

The measurement runs `dvc repro` in one clone of a repository and `laureate cluster` with an empty remote in
another. Without --study the repository is made here, with stages that wait: what is measured is what clones,
DVC and Ray add. With --study FOLDER it is that study, from nothing, twice.

The simulation is of tasks of known length on 8 to 512 GPUs, with two things that all tasks share: the driver,
which spends a moment on each task, and the remote, whose bandwidth all transfers share. At the end the driver
pulls everything (`dvc repro --pull`).
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.files import write_text

MEASURED = {"way": "way", "seconds": "s", "stages": "stages", "added": "added to dvc repro, %"}
SIMULATED = {
    "gpus": "GPUs",
    "hours": "hours",
    "busy": "GPUs at work, %",
    "remote": "remote in use, %",
    "driver": "driver in use, %",
    "pull": "last pull, hours",
    "limit": "limited by",
}
PAGE, MARK = Path("docs/cluster.md"), "simulation"


@dataclass(frozen=True)
class Load:
    """What one training seed of one style costs: seconds of one GPU, bytes that cross the network."""

    train: float = 30.0  # seconds of one rank; a pack trains all ranks in ranks × this
    sample: float = 6.0  # seconds of one model
    evaluate: float = 9.0
    start: float = 3.5  # seconds of a task before its command: clone, DVC
    driver: float = 0.02  # seconds that the driver spends on a task
    adapter: float = 20e6  # bytes of one adapter
    pictures: float = 15e6  # bytes of the samples of one model
    data: float = 5e6  # bytes of a data set, encoded
    bandwidth: float = 1.25e9  # bytes a second of the remote, 10 Gbit/s
    request: float = 0.05  # seconds from a request to its answer
    parallel: int = 32  # requests that the remote answers side by side for all tasks
    per_task: int = 20  # requests of a task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--study, --waits, --styles, --ranks, --seeds, --times, --gpus, --write."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--study", type=Path, metavar="FOLDER", help="a git repository with a study to run")
    parser.add_argument("--waits", type=float, default=2.0, metavar="S", help="seconds of a made stage")
    parser.add_argument("--skip-measurement", action="store_true", help="only simulate")
    parser.add_argument("--styles", type=int, default=1000, metavar="N")
    parser.add_argument("--ranks", type=int, default=6, metavar="N")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256, 512], metavar="N")
    parser.add_argument(
        "--times",
        type=Path,
        metavar="FILE",
        help="seconds by stage, as .dvc/tmp/laureate-cluster.json has them",
    )
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")


def run(options: argparse.Namespace) -> None:
    """Measure, simulate, print both tables, write the JSON and, if asked, the page."""
    if options.quick:
        options.styles, options.waits = min(options.styles, 20), 0.0
    ranks = 1 if options.quick else 4
    measured = [] if options.skip_measurement else measure(options.study, options.waits, ranks)
    load = from_times(Load(), json.loads(options.times.read_text())) if options.times else Load()
    styles, seeds = options.styles, options.seeds
    rows = [simulate(load, styles, options.ranks, seeds, gpus) for gpus in options.gpus]
    harness.report(
        "cluster", options, measured, MEASURED, beside={"simulation": (rows, SIMULATED)}, load=vars(load)
    )
    if options.write:
        write_page(harness.table(rows, SIMULATED, markdown=True))


def measure(study: Path | None, waits: float, ranks: int) -> list[dict[str, Any]]:
    """Seconds of `dvc repro` and of `laureate cluster` on this host, each in a clone of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = study.resolve() if study else made_study(folder / "study", waits, ranks)
        commands = {
            "dvc repro": ["-m", "dvc", "repro"],
            "laureate cluster": ["-m", "laureate", "cluster"],
        }
        rows: list[dict[str, Any]] = []
        for way, words in commands.items():
            clone = folder / words[-1]
            _call("git", "clone", "--quiet", str(source), str(clone), cwd=folder)
            (clone / "dvc.lock").unlink(missing_ok=True)
            _call(
                sys.executable,
                "-m",
                "dvc",
                "remote",
                "add",
                "--local",
                "-d",
                "store",
                str(folder / "store"),
                cwd=clone,
            )
            start = time.perf_counter()
            printed = _call(sys.executable, *words, cwd=clone)
            seconds = time.perf_counter() - start
            stages = printed.count("Running stage") or printed.count(" ran on ")
            added = 100 * (seconds / rows[0]["seconds"] - 1) if rows else 0.0
            rows.append({"way": way, "seconds": seconds, "stages": stages, "added": added})
    return rows


def made_study(folder: Path, waits: float, count: int) -> Path:
    """A git repository with stages that wait and have an output, in the shape of a study of `count` ranks."""
    root = Path(__file__).resolve().parents[1]
    (folder / "data").mkdir(parents=True)
    write_text(folder / "params.yaml", (root / "params.yaml").read_text(encoding="utf-8"))
    for file in (root / "data").glob("*.yaml"):
        write_text(folder / "data" / file.name, file.read_text(encoding="utf-8"))
    ranks = ", ".join(str(4 * 2**i) for i in range(count))
    chain = {"train": "data/raw", "sample": "data/train-${item.of}", "evaluate": "data/sample-${item.of}"}
    crawl = f"sleep {waits} && echo made > data/raw"
    text = f"stages:\n  crawl: {{cmd: {crawl}, deps: [params.yaml], outs: [data/raw]}}\n"
    for verb, dep in chain.items():
        out = f"data/{verb}-${{item.of}}"
        text += f"  {verb}:\n    matrix: {{of: [{ranks}]}}\n    cmd: sleep {waits} && cp {dep} {out}\n"
        text += f'    deps: ["{dep}"]\n    outs: ["{out}"]\n'
    write_text(folder / "dvc.yaml", text)
    _call("git", "init", "--quiet", cwd=folder)
    _call(sys.executable, "-m", "dvc", "init", "--quiet", cwd=folder)
    _call("git", "add", "--all", cwd=folder)
    _call("git", "commit", "--quiet", "--message", "stages that wait", cwd=folder)
    return folder


def from_times(load: Load, times: Mapping[str, float]) -> Load:
    """A load with the means of measured stages; a pack's time counts for all its ranks."""

    def mean(verb: str) -> float | None:
        found = [seconds for name, seconds in times.items() if name.startswith(verb)]
        return sum(found) / len(found) if found else None

    train, sample, evaluate = mean("train"), mean("sample"), mean("evaluate")
    return replace(
        load,
        train=train or load.train,
        sample=sample or load.sample,
        evaluate=evaluate or load.evaluate,
    )


def simulate(load: Load, styles: int, ranks: int, seeds: int, gpus: int) -> dict[str, Any]:
    """All studies on some GPUs => hours, shares of use, and what limits them.

    A style and seed is a chain: a pack of trainings, then sampling and evaluation of the models side by side.
    A task waits for the driver, then holds its GPU while its bytes cross the remote, which serves one after
    the other at its bandwidth, and while it computes.
    """
    models = ranks + 1
    drawn, read = load.pictures, load.data
    train = (load.start + ranks * load.train, read + ranks * load.adapter)
    sample = (load.start + load.sample, load.adapter + drawn)
    evaluate = (load.start + load.evaluate, drawn + read)
    asked = load.per_task * load.request / load.parallel
    free = [0.0] * gpus
    driver = remote = 0.0
    driver_used = remote_used = busy = 0.0
    ready: list[tuple[float, int, int]] = [(0.0, 0, index) for index in range(styles * seeds)]
    heapq.heapify(ready)
    end = 0.0
    while ready:
        at, phase, index = heapq.heappop(ready)
        seconds, size = (train, sample, evaluate)[phase]
        driver = max(driver, at) + load.driver
        driver_used += load.driver
        start = max(driver, heapq.heappop(free))
        moved = size / load.bandwidth + asked
        remote = max(remote, start) + moved
        remote_used += moved
        done = remote + seconds
        busy += seconds
        heapq.heappush(free, done)
        end = max(end, done)
        if phase == 0:
            for _ in range(models):
                heapq.heappush(ready, (done, 1, index))
        elif phase == 1:
            heapq.heappush(ready, (done, 2, index))
    shares = {"remote": 100 * remote_used / end, "driver": 100 * driver_used / end}
    work = 100 * busy / (end * gpus)
    limit = "GPUs" if work > 90 else max(shares, key=lambda name: shares[name])
    tasks, size = styles * seeds * (1 + 2 * models), ranks * load.adapter + models * drawn + read
    pull = styles * seeds * size / load.bandwidth + tasks * load.request / load.parallel
    return {"gpus": gpus, "hours": end / 3600, "busy": work, **shares, "pull": pull / 3600, "limit": limit}


def write_page(table: str, page: Path = PAGE) -> None:
    """Put the table between the marks of the page. Raises LaureateError if they are not there."""
    text = page.read_text(encoding="utf-8")
    begin, finish = f"<!-- {MARK} -->\n", f"<!-- /{MARK} -->"
    if begin not in text or finish not in text:
        raise LaureateError(
            f"{page} has no {begin.strip()} ... {finish}; put both lines where the table goes"
        )
    before, rest = text.split(begin, 1)
    write_text(page, before + begin + table + "\n" + finish + rest.split(finish, 1)[1])


def _call(*words: str, cwd: Path) -> str:
    """Run a command => what it printed. Raises LaureateError with that if it fails."""
    names = {
        f"GIT_{who}_{what}": "benchmark@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    root = str(Path(__file__).resolve().parents[1])
    paths = [f"{root}/src", root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = os.environ | names | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise LaureateError(f"{' '.join(words)} failed:\n{done.stdout}")
    return done.stdout
