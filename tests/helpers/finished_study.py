"""A small study that has run: a copy of the repository with tiny models, few pictures and few steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from shell import run

# few of everything, so that a stage takes little longer than its start
SMALL: dict[str, Any] = {
    "ranks": [4, 16],
    "selected": "rank-16",
    "crawl.limit": 16,
    "prepare.holdout": 0.5,
    "prepare.min_train": 4,
    "prepare.min_holdout": 4,
    "train.seeds": [42],
    "train.steps": 3,
    "train.batch": 2,
    "train.learning_rate": 0.05,  # so that more steps are seen in the pictures
    "train.warmup": 1,
    "train.holdout_every": 2,
    "train.checkpoint_every": 2,
    "train.targets": ["to_q", "to_k", "ff.net.0.proj"],  # the last is wide enough for rank 256
    "sample.seeds": [1001],
    "sample.steps": 3,  # of which one is left for a portrait at its default strength
    "evaluate.bootstrap": 20,
}
MODELS = ["noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16"]  # of its table
PROMPTS = {"data/prompts.yaml": 9, "data/prompts-embedded.yaml": 4}  # how many of them are kept


def prepare(folder: Path, copy_of_repository: Callable[[Path], Path], tiny_models: Path) -> None:
    """Make a copy of the repository at `folder`, with tiny models, small parameters and no results."""
    copy_of_repository(folder)
    for name in ("base", "clip", "vision"):
        shutil.rmtree(folder / "models/embedded" / name, ignore_errors=True)
        shutil.copytree(tiny_models / name, folder / "models/embedded" / name)
    (folder / "models/base.lock.json").unlink()  # it is that of the shipped base
    for name, count in PROMPTS.items():
        prompts = yaml.safe_load((folder / name).read_text())
        (folder / name).write_text(yaml.safe_dump(prompts[:count], sort_keys=False))
    set_parameters(folder, SMALL)
    (folder / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(folder / "metrics", ignore_errors=True)


def make(
    folder: Path,
    copy_of_repository: Callable[[Path], Path],
    tiny_models: Path,
    values: dict[str, Any] | None = None,
) -> str:
    """Run `dvc repro` in such a copy, with further `values`, commit the results; gives what it printed."""
    prepare(folder, copy_of_repository, tiny_models)
    set_parameters(folder, values or {})
    printed = run("dvc", "repro", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "the small study", cwd=folder)
    return printed


def set_parameters(folder: Path, values: dict[str, Any]) -> None:
    """Write dotted keys into params.yaml."""
    file = folder / "params.yaml"
    parameters = yaml.safe_load(file.read_text())
    for key, value in values.items():
        *sections, name = key.split(".")
        section = parameters
        for part in sections:
            section = section[part]
        assert name in section, key
        section[name] = value
    file.write_text(yaml.safe_dump(parameters, sort_keys=False))
