"""A small study whose ranks have several rates, steps and seeds to choose from, trained for real."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from laureate.config import params


@pytest.fixture(scope="session")
def armed(encoded: Path, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rank 2 with two rates, two seeds, a snapshot and two strengths, and the features of the portraits."""
    from laureate.stages import evaluate, train

    folder = tmp_path_factory.mktemp("armed")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["ranks"] = [2]
    values["train"] |= {
        "seeds": [42, 43], "learning_rate": 0.2, "learning_rates": [0.05], "steps": 6, "snapshots": [3],
        "holdout_every": 3,
    }  # fmt: skip
    values["choose"] = {"strengths": [0.5], "first": 4, "loss_margin": 1.0}
    judges = {name: {"kind": name, "source": str(tiny_models / name)} for name in ("vision", "clip")}
    values["evaluate"] = {"judges": judges, "bootstrap": 20}
    values["compare"] = {"judges": ["vision", "clip"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    prompts = [
        {"id": f"person-{number}", "text": f"Person {number} smiles.", "set": "study", "attributes": {}}
        for number in range(8)
    ]
    (folder / "data/prompts-choose.yaml").write_text(yaml.safe_dump(prompts))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        loaded = params.load()
        train.run(loaded, 2)
        evaluate.run(loaded, "noise-floor")
    return folder


@pytest.fixture
def study(armed: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(armed)
    return params.load()
