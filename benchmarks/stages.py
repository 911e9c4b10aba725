"""stages: seconds and peak memory of every stage of a study, from empty caches, in a copy of a finished one.

The stages run one after the other as DVC would run them, each as a process of its own, by the commands of
dvc.yaml. What DVC itself takes is not in it.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.progress import progress

KIBIBYTES = 1024  # of a MiB; Linux has peaks in KiB
# a process counts the memory of the one that starts it until it has begun: so a small one starts it
LAUNCH = """
import resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
COLUMNS = {
    "verb": "stage",
    "times": "times",
    "precision": "precision",
    "seconds": "s in all",
    "longest": "longest, s",
    "share": "share of the study",
    "memory": "peak memory, MiB",
}
LEFT_OUT = (".git", ".work", ".venv", "__pycache__", "cache", "tmp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--study, --precision."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--study", type=Path, default=Path(), metavar="DIR", help="a finished study")
    parser.add_argument("--precision", default="auto", help="of training and drawing (default: auto)")


def run(options: argparse.Namespace) -> None:
    """Run every stage in a copy; a row per verb and one of all."""
    from laureate.config import params
    from laureate.torch_utils import device

    found = stages(options.study)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "study"
        shutil.copytree(options.study, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        set_precision(copy / "params.yaml", options.precision)
        study = params.load(copy / "params.yaml")
        dtype = device.precision(study.sample.precision, device.pick())
        rows = []
        for name, commands in progress(found[:3] if options.quick else found, len(found), "stages"):
            used = [measured(command, copy) for command in commands]
            seconds, memory = sum(each[0] for each in used), max(each[1] for each in used)
            rows.append({"verb": verb_of(name), "seconds": seconds, "memory": memory})
    table = by_verb(rows, device.name_of(dtype))
    path = harness.report("stages", options, table, COLUMNS)
    print(f"all stages: {table[-1]['seconds']:.0f} s; {path}")


def stages(study: Path) -> list[tuple[str, list[str]]]:
    """The stages of a study's dvc.yaml in the order in which DVC runs them: name and commands."""
    from laureate.cluster.study import nodes_of, opened

    with chdir(study), opened() as repo:
        found = [(str(node.name), node.cmd) for node in nodes_of(repo)]
    return [(name, [cmd] if isinstance(cmd, str) else list(cmd)) for name, cmd in found]


def set_precision(file: Path, precision: str) -> None:
    """Rewrite params.yaml: what trains and what draws computes in `precision`."""
    import yaml

    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section in ("train", "sample"):
        values[section]["precision"] = precision
    file.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def measured(command: str, folder: Path) -> tuple[float, int]:
    """Seconds and peak memory (MiB) of a command. Raises LaureateError where it fails."""
    words = [sys.executable, "-c", LAUNCH, *shlex.split(command)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LaureateError(f"{command} ended with {done.returncode}: {done.stderr[-500:]}")
    seconds, memory = done.stdout.split()[-2:]
    return float(seconds), int(memory) // KIBIBYTES


def verb_of(name: str) -> str:
    """`sample@rank-4` and `sample-baseline` => `sample`."""
    return name.partition("@")[0].partition("-")[0]


def by_verb(rows: Sequence[dict[str, Any]], precision: str) -> list[dict[str, Any]]:
    """A row per verb in order of first occurrence, and one of all stages."""
    verbs = list(dict.fromkeys(row["verb"] for row in rows))
    whole, found = sum(row["seconds"] for row in rows), []
    for verb in [*verbs, None]:
        of = [row for row in rows if verb in (row["verb"], None)]
        seconds = [row["seconds"] for row in of]
        found.append({
            "verb": verb or "all",
            "times": len(of),
            "precision": precision,
            "seconds": sum(seconds),
            "longest": max(seconds),
            "share": sum(seconds) / whole,
            "memory": max(row["memory"] for row in of),
        })  # fmt: skip
    return found
