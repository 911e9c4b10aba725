"""The study as a whole: the real stages, over the real graph of dvc.yaml, in a small."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from finished_study import MODELS, PROMPTS, SMALL, set_parameters
from shell import run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_stages")]

BEFORE_TRAINING = {
    "crawl",
    "prepare",
    "encode",
    "sample-baseline",
    "evaluate-baseline",
    "evaluate-portraits@noise-floor",
    "evaluate-portraits@vae-ceiling",
}
OF_A_RANK = ("train", "choose", "sample", "evaluate")
AFTER_ALL = {"compare", "select", "report"}


@pytest.fixture
def study(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """The finished study, to be changed at will."""
    return Path(shutil.copytree(finished[0], tmp_path / "laureate", symlinks=True))


def test_the_first_run_runs_every_stage_and_leaves_what_the_design_names(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    of_ranks = {f"{stage}@rank-{rank}" for stage in OF_A_RANK for rank in SMALL["ranks"]}
    assert stages_run(printed) == BEFORE_TRAINING | of_ranks | AFTER_ALL

    portraits = [json.loads(line) for line in (folder / "data/raw/portraits.jsonl").read_text().splitlines()]
    assert {row["file"] for row in portraits} <= {file.name for file in (folder / "data/raw").iterdir()}
    for part in ("train", "holdout"):
        assert len(list((folder / "data/dataset" / part).glob("*.png"))) >= 4
    for rank in SMALL["ranks"]:
        adapter = folder / f"models/lora/rank-{rank}"
        assert {file.name for file in adapter.iterdir()} == {
            "pytorch_lora_weights.safetensors",
            "config.json",
        }
    for model in MODELS[2:]:
        assert len(list((folder / "data/samples" / model).glob("*.png"))) == sum(PROMPTS.values())
    for model in MODELS:
        scores = json.loads((folder / f"metrics/models/{model}.json").read_text())
        assert {"fid", "fid_low", "fid_high", "kid", "lpips", "clip", "n_generated"} <= set(scores)
    with (folder / "metrics/comparison.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == MODELS
    assert json.loads((folder / "metrics/selected.json").read_text())["model"] == "rank-16"
    assert "Rank 16" in (folder / "metrics/report/index.html").read_text()


def test_nothing_is_left_over_and_git_holds_the_small_results_only(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    assert run("git", "status", "--porcelain", cwd=folder) == ""
    kept = run("git", "ls-files", cwd=folder).splitlines()
    assert "metrics/comparison.csv" in kept
    assert "metrics/report/index.html" in kept
    assert not [
        name
        for name in kept
        if name.startswith(("data/raw/", "data/dataset/", "data/samples/", "models/lora/"))
        and not name.endswith(".gitignore")
    ]


def test_a_second_run_runs_nothing(study: Path) -> None:
    printed = run("dvc", "repro", cwd=study)
    assert stages_run(printed) == set()
    assert "up to date" in printed


def test_more_steps_train_anew_and_nothing_before_and_do_not_replicate(study: Path) -> None:
    assert "Replicated: the advice is the same" in run("laureate", "replicate", cwd=study)
    set_parameters(study, {"train.steps": 12})
    ran = stages_run(run("dvc", "repro", cwd=study))
    assert ran & BEFORE_TRAINING == set()
    assert {"train@rank-4", "train@rank-16", "sample@rank-4", "sample@rank-16", "report"} <= ran
    printed = run("laureate", "replicate", "--restore", cwd=study, fails=True)
    assert printed.startswith("Not replicated: ")
    assert "train.steps 3 → 12" in printed
    assert run("git", "status", "--porcelain", cwd=study) == " M params.yaml\n"


def test_all_ranks_are_trained_once_and_together(finished: tuple[Path, str], study: Path) -> None:
    printed = finished[1]
    assert "train ranks 4, 16: 100%" in printed
    assert len(re.findall(r"rank (?:4|16) is trained already", printed)) == 1, "by whichever DVC ran second"
    set_parameters(study, {"train.steps": 4})
    printed = run("dvc", "repro", "train", cwd=study)
    assert "train ranks 4, 16: 100%" in printed
    assert len(re.findall(r"rank (?:4|16) is trained already", printed)) == 1, "by whichever DVC ran second"


@pytest.mark.parametrize("work", ["kept", "lost"])
def test_another_rank_trains_that_rank_only(study: Path, work: str) -> None:
    """With the work cache and, as in a fresh clone, without."""
    if work == "lost":
        shutil.rmtree(study / ".work")
    set_parameters(study, {"ranks": [4, 16, 256]})
    printed = run("dvc", "repro", *([] if work == "kept" else ["train"]), cwd=study)
    assert "train rank 256: 100%" in printed, "alone"
    if work == "lost":
        assert stages_run(printed) == {"train@rank-256"}
        return
    assert stages_run(printed) == {f"{stage}@rank-256" for stage in OF_A_RANK} | AFTER_ALL
    with (study / "metrics/comparison.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == [*MODELS, "rank-256"]


def test_a_rank_taken_away_leaves_no_row(study: Path) -> None:
    set_parameters(study, {"ranks": [16]})
    assert stages_run(run("dvc", "repro", cwd=study)) == AFTER_ALL
    with (study / "metrics/comparison.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == [m for m in MODELS if m != "rank-4"]


def test_pictures_drawn_elsewhere_get_a_row_and_leave_it(study: Path) -> None:
    """A folder tracked with `dvc add`, one of its pictures refused; before it, no such model."""
    folder = study / "data/external/other"
    shutil.copytree(study / "data/samples/baseline", folder)
    rows = json.loads((folder / "manifest.json").read_text())["pictures"]
    refused = {key: rows[-1][key] for key in ("prompt", "seed")} | {"reason": "refused"}
    manifest = {"source": "a friend", "pictures": rows[:-1], "missing": [refused]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    run("dvc", "add", "data/external/other", cwd=study)
    set_parameters(study, {"external": {"other": {}}})
    assert stages_run(run("dvc", "repro", cwd=study)) == {"evaluate-external@other"} | AFTER_ALL
    assert stages_run(run("dvc", "repro", cwd=study)) == set()
    with (study / "metrics/comparison.csv").open() as file:
        found = {row["model"]: int(row["n_generated"]) for row in csv.DictReader(file)}
    assert list(found) == [*MODELS, "other"]
    assert found["other"] == found["baseline"] - 1
    set_parameters(study, {"external": {}})
    # DVC knows the row of this table already and does not run `select` again
    assert stages_run(run("dvc", "repro", cwd=study)) == AFTER_ALL - {"select"}
    with (study / "metrics/comparison.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == MODELS


def test_the_same_inputs_give_the_same_bytes(study: Path) -> None:
    """From the crawl to the page, by way of one rank: the lock file with its hashes does not change."""
    first = hashes(study)
    again = ["crawl", "prepare", "encode", *(f"{stage}@rank-4" for stage in OF_A_RANK), "compare", "report"]
    # the same pack gives the same bytes: so the other rank is trained again too
    again.insert(again.index("train@rank-4") + 1, "train@rank-16")
    for folder in (".work", "models/lora/rank-16"):
        shutil.rmtree(study / folder)
    printed = run("dvc", "repro", "--force", "--single-item", *again, cwd=study)
    assert stages_run(printed) == set(again)
    assert hashes(study) == first


def hashes(folder: Path) -> dict[str, Any]:
    """The lock file, without what tells of the machine and of the time that a training took."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    for stage in stages.values():
        stage["outs"] = [
            out for out in stage.get("outs", []) if not out["path"].startswith("metrics/machines/")
        ]
    return stages


def test_the_graph_links_every_stage(study: Path) -> None:
    graph = run("dvc", "dag", "--dot", cwd=study)
    edges = re.findall(r'"(.+?)" -> "(.+?)"', graph)
    reached, more = set(), {"report", "select"}
    while more:
        reached |= more
        more = {a for a, b in edges if b in reached} - reached
    of_ranks = {f"{stage}@rank-{rank}" for stage in OF_A_RANK for rank in SMALL["ranks"]}
    assert reached >= BEFORE_TRAINING | of_ranks | AFTER_ALL


def stages_run(printed: str) -> set[str]:
    """The stages that `dvc repro` says it ran."""
    return set(re.findall(r"^Running stage '(.+?)'", printed, re.MULTILINE))
