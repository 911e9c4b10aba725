"""The key of a training result: the code that dvc.yaml lists for `train`, of the package that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from trained import changed

pytest.importorskip("torch")

from laureate.config import params
from laureate.core import paths
from laureate.stages import train
from laureate.training import result_cache, run_plan, trainer
from laureate.training.result_cache import code_of_stage


@pytest.fixture
def package(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in a copy of the project: dvc.yaml and src/."""
    project = tmp_path_factory.mktemp("project")
    shutil.copy(root / "dvc.yaml", project)
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(root / "src/laureate", project / "src/laureate", ignore=ignore))


def listed(package: Path) -> list[Path]:
    """What dvc.yaml lists for `train`: files and folders of the package."""
    stages = yaml.safe_load((package.parents[1] / "dvc.yaml").read_text())["stages"]
    return [package.parents[1] / dep for dep in stages["train"]["deps"] if dep.startswith("src/")]


def edited(file: Path) -> None:
    """The file with a line more."""
    file.write_bytes(file.read_bytes() + b"\n# edited\n")


def test_an_edit_of_any_file_that_is_listed_changes_the_key(package: Path) -> None:
    places = listed(package)
    inside = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    files = sorted(file for file in inside if file.is_file())
    assert {place.name for place in places} == {"train.py", "training", "networks", "torch_utils"}
    assert len(files) > 30
    seen = {code_of_stage("train", package)}
    for file in files:
        edited(file)
        seen.add(code_of_stage("train", package))
    assert len(seen) == len(files) + 1
    (places[-1] / "new.py").write_text("")
    seen.add(code_of_stage("train", package))
    (places[-1] / "new.py").unlink()
    files[-1].unlink()
    assert code_of_stage("train", package) not in seen


def test_an_edit_elsewhere_does_not(package: Path) -> None:
    before = code_of_stage("train", package)
    inside = listed(package)
    others = [
        file
        for file in sorted(package.rglob("*"))
        if file.is_file() and not any(file == place or place in file.parents for place in inside)
    ]
    assert len(others) > 60
    for file in others:
        edited(file)
    compiled = package / "training" / "__pycache__"
    compiled.mkdir()
    (compiled / "run.cpython-313.pyc").write_bytes(b"")
    assert code_of_stage("train", package) == before


def test_without_a_dvc_yaml_beside_it_every_file_of_the_package_counts(package: Path) -> None:
    """As in an installed wheel, whatever lies above it: a dvc.yaml of another project is not asked."""
    site = package.parents[1] / "lib" / "site-packages"
    installed = Path(shutil.copytree(package, site / "laureate"))
    (package.parents[1] / "lib" / "dvc.yaml").write_text("stages: {other: {cmd: 'true'}}")
    seen = [code_of_stage("train", installed)]
    for file in ("cli.py", "evaluation/scoring.py", "training/run.py"):
        edited(installed / file)
        seen.append(code_of_stage("train", installed))
    assert len(set(seen)) == 4
    (package.parents[1] / "dvc.yaml").unlink()
    before = code_of_stage("train", package)
    edited(package / "cli.py")
    assert code_of_stage("train", package) != before


def test_where_a_project_lies_does_not_matter(package: Path, root: Path) -> None:
    assert code_of_stage("train", package) == code_of_stage("train", root / "src/laureate")


def test_an_experiment_copy_is_keyed_by_the_code_that_runs(package: Path, root: Path) -> None:
    """DVC runs experiments in a copy of the project in .dvc/tmp/exps, where `laureate` is still the package
    that is installed: the copy's own src/ and dvc.yaml say nothing about the code that runs."""
    copy = package.parents[1]
    edited(package / "training" / "run.py")
    (copy / "dvc.yaml").write_text("stages: {}")
    code = "from laureate.training.result_cache import code_of_stage; print(code_of_stage('train'))"
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == code_of_stage("train", root / "src/laureate")


def test_an_edit_of_listed_code_trains_anew_and_one_elsewhere_does_not(
    study: params.Params, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, steps = changed(study, steps=2, holdout_every=2), list[int]()
    original = trainer.Trainer.step

    def step(self: trainer.Trainer, examples: Any, number: int) -> Any:
        steps.append(number)
        return original(self, examples, number)

    monkeypatch.setattr(trainer.Trainer, "step", step)
    monkeypatch.setattr(run_plan, "code_of_stage", lambda stage: result_cache.code_of_stage(stage, package))

    def trained() -> int:
        steps.clear()
        shutil.rmtree(paths.ADAPTERS, ignore_errors=True)
        train.run(short, rank=2)
        return len(steps)

    assert trained() == 2
    assert trained() == 0
    edited(package / "evaluation" / "scoring.py")
    assert trained() == 0
    for file in ("networks/diffusion/base_model.py", "torch_utils/rng.py"):  # the cache left these out once
        edited(package / file)
        assert trained() == 2, file
