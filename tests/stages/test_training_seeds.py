"""A study whose ranks are trained with several seeds, from training to the advice, by the real stages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmarks import __main__ as benchmark
from benchmarks import harness
from laureate.comparison import results_table
from laureate.config import params
from laureate.core import paths
from laureate.evaluation import evidence
from laureate.stages import compare, evaluate, sample, train

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def study(
    encoded: Path, tiny_models: Path, working_copy: Callable[[Path], Path], root: Path
) -> params.Params:
    """Ranks 2 and 4, each to be trained with the seeds 1, 2 and 3, six prompts."""
    folder = working_copy(encoded)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["train"] |= {"seeds": [1, 2, 3], "steps": 3, "learning_rate": 0.05}
    judges = {kind: {"kind": kind, "source": str(tiny_models / kind)} for kind in ("vision", "clip")}
    values["evaluate"] = {"judges": judges, "bootstrap": 40}
    values["compare"] = {"judges": ["vision", "clip"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    prompts = yaml.safe_load((root / "data/prompts.yaml").read_text())[:6]
    (folder / "data/prompts.yaml").write_text(yaml.safe_dump(prompts))
    shutil.copy(root / "data/published.yaml", folder / "data/published.yaml")
    return params.load()


def test_every_training_seed_is_in_the_row_of_its_rank(study: params.Params) -> None:
    for rank in (2, 4):
        train.run(study, rank)
    models = ["baseline", "rank-2", "rank-4"]
    for model in models:
        sample.run(study, model)
    for model in [*params.REFERENCES, *models]:
        evaluate.run(study, model)
    found = {model: evidence.load(paths.EVIDENCE / f"{model}.safetensors", model) for model in models}
    assert set(found["rank-2"].trainings) == {1, 2, 3}
    assert list(found["rank-2"].trainings) == list(found["rank-4"].trainings)
    assert not found["baseline"].trainings
    compare.run(study)
    advice = json.loads(paths.ADVICE.read_text())
    assert advice["trainings"] == 3
    table = results_table.read_csv(paths.COMPARISON)
    once = json.loads(Path("metrics/models/rank-4.json").read_text())
    assert table.loc["rank-4", "kid_low"] == once["kid_low"] < once["kid"] < once["kid_high"]


def test_budgets_compares_studies_that_differ_in_training_alone(
    study: params.Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study beside itself has no difference; beside a copy whose ranks have changed places, the opposite
    ones of its ranks, whose mean is none; another kind of machine or other pictures are refused."""
    for rank in (2, 4):
        train.run(study, rank)
    for model in ("baseline", "rank-2", "rank-4"):
        sample.run(study, model)
        evaluate.run(study, model)
    folder, changed, out = Path.cwd(), tmp_path / "changed", tmp_path / "budgets.json"
    shutil.copytree(folder, changed)
    for one, other in ((2, 4), (4, 2)):
        shutil.copy(evidence_of(folder, one), evidence_of(changed, other))

    def compared(*folders: Path) -> int:
        words = ["--studies", *map(str, folders), "--out", str(out)]
        return benchmark.main(["budgets", *words])

    values = yaml.safe_load((changed / "params.yaml").read_text())
    values["train"]["batch"] *= 2
    (changed / "params.yaml").write_text(yaml.safe_dump(values))
    assert compared(folder, folder, changed) == 0
    first, same, other = harness.read(out)["rows"]
    assert first["kid"] == f"{first['kid_value']:.4f}"
    assert same["kid_value"] == same["kid_low"] == same["kid_high"] == 0
    assert (same["nearer"], same["farther"]) == ("0 of 4", "0 of 4")
    assert other["kid_value"] == pytest.approx(0, abs=1e-9)
    assert (first["batch"], other["batch"]) == (study.train.batch, 2 * study.train.batch)
    assert other["nearer"] == other["farther"], "what one rank gains the other loses"

    file = folder / paths.machine_file(2)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"processor": "another"}))
    assert compared(folder, changed) == 1
    assert "do not compare their seconds" in capsys.readouterr().err
    values["sample"]["guidance"] = study.sample.guidance + 1
    (changed / "params.yaml").write_text(yaml.safe_dump(values))
    assert compared(folder, changed) == 1
    assert "differ in the parameters `sample`" in capsys.readouterr().err


def evidence_of(folder: Path, rank: int) -> Path:
    """The evidence of a rank in a study."""
    return folder / paths.EVIDENCE / f"rank-{rank}.safetensors"
