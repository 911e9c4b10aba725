"""gpu: everything that is to be known about a graphics card, in one file to be sent back.

Runs pack, train (eager, compiled, with CUDA graphs), sample at 512 and 768 pixels, memory and repeat, and
sweep where the script of diffusers is given, each in a process of its own: one that does not fit into the
card's memory is noted and the others go on. The base is Stable Diffusion 2.1's exact shape with random
weights, so nothing is downloaded. About half an hour on a card of 24 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import harness, memory

COLUMNS = {"part": "part", "outcome": "outcome", "seconds": "seconds"}
PEERS = ["one picture per call", "the same batches", "stacked"]  # guidance is throughout
LAST_LINES = 3  # of what a part printed before it failed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--script, --parts."""
    harness.add_common(parser)
    parser.set_defaults(base="sd21-random")
    parser.add_argument("--script", type=Path, metavar="FILE", help="diffusers' LoRA script, for sweep")
    parser.add_argument("--parts", nargs="+", metavar="PART", help="only these, such as pack memory")


def parts(script: Path | None) -> dict[str, list[str]]:
    """Part => the words of its benchmark."""
    drawing = ["sample", "--steps", "12", "--interval", "0", "1", "--peers", *PEERS, "--resolution"]
    found = {
        "pack": ["pack"],
        "train": ["train"],
        "train-compiled": ["train", "--compile", "default"],
        "train-cuda-graphs": ["train", "--compile", "reduce-overhead"],
        "sample-512": [*drawing, "512"],
        "sample-768": [*drawing, "768"],
        "memory": ["memory"],
        "repeat": ["repeat"],
    }
    if script:
        found["sweep-512"] = ["sweep", "--script", str(script), "--resolution", "512"]
    return found


def run(options: argparse.Namespace) -> None:
    """One row per part; the parts' own results are in the file under `parts`."""
    wanted = {
        name: words for name, words in parts(options.script).items() if name in (options.parts or [name])
    }
    rows, results = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in wanted.items():
            print(f"\n{name}:", flush=True)
            target = Path(folder) / f"{name}.json"
            start = time.perf_counter()
            outcome = one(words, options, target)
            rows.append({"part": name, "outcome": outcome, "seconds": time.perf_counter() - start})
            if target.is_file():
                results[name] = harness.read(target)
    harness.report("gpu", options, rows, COLUMNS, gpu=memory.facts(), parts=results)
    print("Please send this file back, whatever it says.")


def one(words: list[str], options: argparse.Namespace, target: Path) -> str:
    """Run a part in its own process, shown as it runs; "done", or why not."""
    command = [sys.executable, "-m", "benchmarks", *words, "--base", options.base, "--out", str(target)]
    command += ["--quick"] * options.quick
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        printed: list[Any] = []
        for line in running.stdout:
            print(line, end="", flush=True)
            printed.append(line.strip())
    if running.returncode == 0:
        return "done"
    return " / ".join(line for line in printed[-LAST_LINES:] if line) or f"status {running.returncode}"
