"""A study in small: the shape of dvc.yaml's graph, with stages that wait a moment and hash what they read."""

from __future__ import annotations

import shutil
from pathlib import Path

from shell import ROOT, run

# `step SECONDS OUT... -- DEP...`: every OUT gets its name and the hash of all bytes in the DEPs
STEP = """
import hashlib, pathlib, sys, time
seconds, *words = sys.argv[1:]
outs, deps = words[: words.index("--")], words[words.index("--") + 1 :]
time.sleep(float(seconds))
found = hashlib.sha256()
for dep in map(pathlib.Path, deps):
    for file in sorted(f for f in (dep.rglob("*") if dep.is_dir() else [dep]) if f.is_file()):
        if file.name != ".gitignore":
            found.update(f"{file}\\n".encode() + file.read_bytes())
for out in map(pathlib.Path, outs):
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f'{{"{out}": "{found.hexdigest()}"}}\\n')
"""
STAGES = """
stages:
  crawl:
    cmd: step 0 data/raw -- source.txt
    deps: [source.txt]
    outs: [data/raw]
  train:
    matrix: {adapter: [rank], of: [4, 8]}
    cmd: step 2 models/lora/rank-${item.of} metrics/train/rank-${item.of}.csv -- data/raw
    deps: [data/raw]
    outs:
      - models/lora/rank-${item.of}
      - metrics/train/rank-${item.of}.csv: {cache: false}
  sample-baseline:
    cmd: step 1 data/samples/baseline -- source.txt
    deps: [source.txt]
    outs: [data/samples/baseline]
  sample:
    matrix: {adapter: [rank], of: [4, 8]}
    cmd: step 1 data/samples/rank-${item.of} -- models/lora/rank-${item.of}
    deps: ["models/lora/rank-${item.of}"]
    outs: ["data/samples/rank-${item.of}"]
  evaluate:
    matrix: {adapter: [rank], of: [4, 8]}
    cmd: >-
      step 0 data/evidence/rank-${item.of} metrics/models/rank-${item.of}.json -- data/samples/rank-${item.of}
    deps: ["data/samples/rank-${item.of}"]
    outs: ["data/evidence/rank-${item.of}"]
    metrics:
      - metrics/models/rank-${item.of}.json: {cache: false}
  compare:
    cmd: step 0 metrics/comparison.csv metrics/selected.json -- metrics/models data/evidence
    deps: [metrics/models, data/evidence]
    outs:
      - metrics/comparison.csv: {cache: false}
    metrics:
      - metrics/selected.json: {cache: false}
  report:
    cmd: step 0 metrics/report -- metrics/comparison.csv metrics/train models/lora data/samples
    params: [{params.yaml: null}]
    deps: [metrics/comparison.csv, metrics/train, models/lora, data/samples]
    outs:
      - metrics/report: {cache: false}
"""
COUNT = 10  # stages


def make(folder: Path) -> Path:
    """A repository with this study, in which nothing has run."""
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    for file in (ROOT / "data").glob("*.yaml"):
        shutil.copy(file, folder / "data" / file.name)
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder)
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    (folder / "source.txt").write_text("portraits\n")
    (folder / "dvc.yaml").write_text(STAGES)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "a study in small", cwd=folder)
    return folder
