"""additions: what the independent judge, drift pictures, copies and the VAE ceiling add to a study's time.

The stages that they are part of run as processes of their own in a copy of a finished study, with them and
without: encode's decoding, one model's pictures, every evaluation, and compare. Nothing is in a cache.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from laureate.core.errors import LaureateError

INDEPENDENT = "imagenet"
# `laureate` without copies and drift, which no parameter switches off
WITHOUT = """
import sys
import numpy as np
from laureate import cli
from laureate.evaluation import copies
from laureate.stages import evaluate
copies.copied = lambda panel, pictures, train, holdout: np.zeros(len(pictures))
evaluate.with_drift = lambda params, panel, extracted, questions: extracted
sys.exit(cli.main(sys.argv[1:]))
"""
COLUMNS = {"stage": "stage", "ours_seconds": "with, s", "peer_seconds": "without, s", "times": "times",
           "added": "added to a study, s"}  # fmt: skip
LEFT_OUT = (".git", ".dvc", ".work", "report", "__pycache__")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark."""
    harness.add_common(parser, repeats=1)


def run(options: argparse.Namespace) -> None:
    """Time the stages with and without, in turns; write the JSON."""
    from laureate.config import params as config

    params = config.load()
    rank = f"rank-{min(params.ranks)}"
    if not (Path("data/plain") / rank / "manifest.json").is_file():
        raise LaureateError(f"data/plain/{rank} is missing; run the study first, with sample.plain above 0")
    evaluated = ["noise-floor", "baseline", *(f"rank-{number}" for number in params.ranks)]
    if options.quick:
        evaluated = [*evaluated[:2], rank]
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        ways = {"ours": Path(place) / "with", "peer": Path(place) / "without"}
        for way, folder in ways.items():
            shutil.copytree(".", folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
            if way == "peer":
                leave_out(folder / "params.yaml")
        for turn in range(options.repeats):
            for way in list(ways)[:: -1 if turn % 2 else 1]:
                for stage, taken in measured(way, ways[way], rank, evaluated).items():
                    seconds.setdefault(stage, {}).setdefault(way, []).append(taken)
    rows = rows_of(seconds, len(evaluated))
    path = harness.report("additions", options, rows, COLUMNS, added=sum(row["added"] for row in rows))
    print(f"added to a study: {harness.read(path)['added']:.0f} s")


def leave_out(file: Path) -> None:
    """Rewrite params.yaml: no drift pictures and no independent judge."""
    import yaml

    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    values["sample"]["plain"] = 0
    kinds = {name: judge["kind"] for name, judge in values["evaluate"]["judges"].items()}
    for section in (values["evaluate"]["judges"], values["compare"]["judges"]):
        for name in [name for name in section if kinds[name] == INDEPENDENT]:
            section.pop(name) if isinstance(section, dict) else section.remove(name)
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def measured(way: str, folder: Path, rank: str, evaluated: Sequence[str]) -> dict[str, float]:
    """Stage => seconds of one run in `folder`, from empty caches."""
    shutil.rmtree(folder / ".work", ignore_errors=True)

    def taken(*words: str, plain: bool = False) -> float:
        command = [sys.executable, "-m", "laureate", *words]
        if way == "peer" and not plain:
            command = [sys.executable, "-c", WITHOUT, *words]
        return harness.timed(lambda: _completed(command, folder))

    found = {"sample": taken("sample", "--model", rank)}
    for model in evaluated:
        name = "evaluate, portraits" if model == "noise-floor" else "evaluate, a model"
        found[name] = found.get(name, 0.0) + taken("evaluate", "--model", model)
    ceiling = taken("evaluate", "--model", "vae-ceiling")  # compare reads it in both
    found["evaluate, VAE ceiling"] = ceiling if way == "ours" else 0.0
    found["encode, decode again"] = decoding(folder) if way == "ours" else 0.0
    if len(evaluated) > 3:
        found["compare"] = taken("compare")
    return found


def decoding(folder: Path) -> float:
    """Seconds that the VAE takes to decode the training portraits of the study."""
    from laureate.config import params as config
    from laureate.core.paths import ENCODED
    from laureate.networks.diffusion import base_model, encoding
    from laureate.torch_utils import device, safetensors_io

    params = config.load(folder / "params.yaml")
    base = base_model.expected(params.base)
    mean = safetensors_io.load(folder / ENCODED)["train.mean"]
    vae: Any = base.vae().to(device.pick())
    return harness.timed(
        lambda: list(encoding.reconstruct(vae, mean, base.scaling_factor, params.encode.batch))
    )


def rows_of(seconds: Mapping[str, Mapping[str, Sequence[float]]], evaluated: int) -> list[dict[str, Any]]:
    """One row per stage: medians of the times of one run, how many there are in a study, and what is added.

    `evaluated`: models whose evaluation was timed, the noise floor among them."""
    rows = []
    for stage, of in seconds.items():
        models = evaluated - 1
        each = models if stage == "evaluate, a model" else 1
        times = models if stage == "sample" else each
        with_, without = ([value / each for value in of[way]] for way in ("ours", "peer"))
        row = harness.spread(with_, "ours_seconds") | harness.spread(without, "peer_seconds")
        added = times * (row["ours_seconds"] - row["peer_seconds"])
        rows.append({"stage": stage, **row, "times": times, "added": added})
    return rows


def _completed(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LaureateError(f"{' '.join(command[-3:])} ended with {done.returncode}: {done.stderr[-500:]}")
