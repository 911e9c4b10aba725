"""sweep: all ranks from a cold start, against as many runs of the text-to-image LoRA script of diffusers.

Ours: `laureate encode` and then `laureate train` once per rank, each in a process of its own, in an empty
folder. The peer: examples/text_to_image/train_text_to_image_lora.py of https://github.com/huggingface/diffusers,
given with --script; it needs the package `datasets`. Both: the same base, pictures, captions, batch, steps,
resolution, learning rate, warm-up and schedule; the precision is each one's fastest on this machine (for the
script a short run of each tells). A round is half of the script's runs, ours, and the other half, so that a
machine that grows slower or faster does so for both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import bases, harness
from benchmarks.pack import RANKS
from laureate.core.errors import LaureateError

PROBE = 8  # steps of the runs that choose the peer's precision
COLUMNS = {
    "ranks": "ranks",
    "steps": "steps",
    "batch": "batch",
    "ours_seconds": "ours s",
    "encode_seconds": "of it encode",
    "peer_seconds": "script × 6 s",
    "peer_precision": "script in",
    "ratio": "ratio",
    "ratio_low": "from",
    "ratio_high": "to",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--script, --data, --ranks, --steps, --batch, --resolution."""
    harness.add_common(parser)
    parser.add_argument("--script", type=Path, required=True, metavar="FILE", help="the script of diffusers")
    parser.add_argument("--data", type=Path, default=Path("data/dataset"), metavar="DIR")
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="per rank (default: 300)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="default: 1, as the script's page")
    parser.add_argument("--resolution", type=int, default=128, metavar="PIXELS")


def run(options: argparse.Namespace) -> None:
    """One row: seconds of both, from the start of the first process to the end of the last.

    Raises LaureateError if script, data or base are missing, or a process fails.
    """
    found = bases.find(options.base)
    for path in (options.script, options.data / "train" / "metadata.jsonl", found.folder):
        if not path.exists():
            raise LaureateError(f"there is no {path}; sweep needs the script, a data set and a base on disk")
    if options.quick:
        options.steps = min(options.steps, 2)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        pictures = _pictures(options.data / "train", home / "pictures")
        probes = {name: _script(options, home / "probe", pictures, options.ranks[:1], PROBE, name)[0]
                  for name in ("no", "bf16")}  # fmt: skip
        precision = min(probes, key=lambda name: probes[name])
        ours: list[list[float]] = []
        theirs: list[list[float]] = []
        for turn in range(options.repeats):
            peer = partial(_script, options, home / f"peer-{turn}", pictures)
            half = len(options.ranks) // 2
            before = peer(options.ranks[:half], options.steps, precision)
            ours.append(_laureate(options, home / f"ours-{turn}", found.folder))
            theirs.append(before + peer(options.ranks[half:], options.steps, precision))
    seconds = {"ours": [sum(parts) for parts in ours], "peer": [sum(parts) for parts in theirs]}
    row = {
        "ranks": " ".join(map(str, options.ranks)),
        "steps": options.steps,
        "batch": options.batch,
        "resolution": options.resolution,
        **harness.against(seconds, "ours", "peer"),
        "encode_seconds": statistics.median(parts[0] for parts in ours),
        "peer_precision": {"no": "float32", "bf16": "bfloat16"}[precision],
    }
    harness.report("sweep", options, [row], COLUMNS, processes={"ours": ours, "peer": theirs}, probes=probes)


def _laureate(options: argparse.Namespace, folder: Path, base: Path) -> list[float]:
    """Seconds of `laureate encode` and of `laureate train` for every rank, in an empty folder."""
    import yaml

    (folder / "data").mkdir(parents=True)
    (folder / "data" / "dataset").symlink_to(options.data.resolve())
    parameters = {
        "ranks": options.ranks,
        "selected": f"rank-{options.ranks[0]}",
        "base": {"path": str(base.resolve())},
        "prepare": {"resolution": options.resolution},
        # no checkpoint, as in the script's runs; held-out pictures at the start and at the end only, where
        # the script never looks at any
        "train": {
            "steps": options.steps,
            "checkpoint_every": options.steps,
            "holdout_every": options.steps,
            "batch": options.batch,
            "learning_rate": 1e-3,
            "warmup": 20,
        },
        "sample": {"prompts": [str(Path("data/prompts.yaml").resolve())]},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")
    verbs = [["encode"], *(["train", "--rank", str(rank)] for rank in options.ranks)]
    return [_timed(["-m", "laureate", *words], folder) for words in verbs]


def _script(
    options: argparse.Namespace,
    folder: Path,
    pictures: Path,
    ranks: Sequence[int],
    steps: int,
    precision: str,
) -> list[float]:
    """Seconds of every run of the script."""
    folder.mkdir(parents=True, exist_ok=True)
    asked: dict[str, Any] = {
        "pretrained_model_name_or_path": bases.find(options.base).folder.resolve(),
        "train_data_dir": pictures,
        "cache_dir": folder / "cache",
        "resolution": options.resolution,
        "train_batch_size": options.batch,
        "max_train_steps": steps,
        "learning_rate": 1e-3,
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 20,
        "mixed_precision": precision,
        "checkpointing_steps": 10 * steps,
        "seed": 42,
    }
    words = [str(options.script.resolve()), *(f"--{key}={value}" for key, value in asked.items())]
    return [_timed([*words, f"--rank={rank}", f"--output_dir={folder}/{rank}"], folder) for rank in ranks]


def _pictures(data: Path, folder: Path) -> Path:
    """A folder with the same pictures and nothing but their captions, which is all that the script reads."""
    folder.mkdir()
    lines = []
    for line in (data / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        (folder / row["file_name"]).symlink_to((data / row["file_name"]).resolve())
        lines.append(json.dumps({"file_name": row["file_name"], "text": row["text"]}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _timed(words: list[str], folder: Path) -> float:
    """Run the interpreter in a folder and give the seconds. Raises LaureateError with what it said last."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=os.environ | offline, capture_output=True, text=True
    )
    taken = time.perf_counter() - start
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise LaureateError(f"{' '.join(words[:3])} ended with status {done.returncode}: {last}")
    return taken
