"""A small study with all that `laureate app` shows: drawn pictures and scores, tiny models."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import drawn_study
import numpy as np
import pytest
import small_base
import yaml

from laureate.config import params
from laureate.core.files import write_json
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.simulator.portraits import attributes, portrait
from laureate.stages import compare

RANKS = (4, 16)


def make(folder: Path, models: Path) -> Path:
    """Fill `folder`: the drawn study with table and advice, tiny models, adapters that do something."""
    drawn_study.draw_study(folder, RANKS)
    drawn_study.write_metrics(folder, RANKS)
    drawn_study.name_pictures(folder)
    for name in ("base", "clip", "vision"):
        shutil.copytree(models / name, folder / "models/embedded" / name)
    shutil.copy(drawn_study.ROOT / "data/vocabulary.yaml", folder / "data/vocabulary.yaml")
    file = folder / "params.yaml"
    values = yaml.safe_load(file.read_text())
    values["sample"] |= {"steps": 4, "precision": "float32"}
    values["prepare"] |= {"captioner": "clip"}
    values["base"] |= {"sources": [], "lock": str(folder / "no.lock.json")}
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    found = base_model.find(folder / "models/embedded/base")
    for rank in RANKS:
        target = folder / f"models/lora/rank-{rank}"
        adapter_files.save(target, *small_base.adapter(found.unet(), rank, float(rank)), small_base.TARGETS)
        write_json(target / "config.json", {"base": found.fingerprint, "rank": rank})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.run(params.load())
    return folder


def photo(path: Path, seed: int = 3) -> Path:
    """A drawn person as a photograph."""
    who = attributes.random_attributes(np.random.default_rng(seed))
    portrait.draw(who, "photograph", seed).resize((300, 300)).save(path)
    return path


@contextmanager
def running(folder: Path, *options: str) -> Iterator[str]:
    """`laureate app` in a process of its own, in a study's folder => its address."""
    command = [sys.executable, "-m", "laureate", "app", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        reader = threading.Thread(target=_collect, args=(process.stderr, said), daemon=True)
        reader.start()
        try:
            line = process.stdout.readline()
            address = re.match(r"http://\S+", line)
            assert address, "".join(said)
            yield address[0]
        finally:
            process.terminate()
            process.wait(20)
            reader.join(5)


def _collect(stream: TextIO, said: list[str]) -> None:
    said.extend(stream)
