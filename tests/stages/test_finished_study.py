"""What is done with a study that has run: experiments, a sweep, charts, versions, benchmarks."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from finished_study import MODELS, SMALL, set_parameters
from shell import run, work_off_queue

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_stages")]


@pytest.fixture
def study(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """The finished study, to be changed at will."""
    return Path(shutil.copytree(finished[0], tmp_path / "laureate", symlinks=True))


def test_its_largest_adapter_is_cut_and_scored_beside_the_trained_ones(study: Path) -> None:
    options = ["--budgets", "layer", "global", "--page", "page.md", "--out", "shrink.json"]
    run("python", "-m", "benchmarks", "shrink", *options, cwd=study)
    found = json.loads((study / "shrink.json").read_text())
    rows = {(row["rank"], row["budget"], row["key"]): row for row in found["measured"]}
    assert {key[:2] for key in rows} == {(4, "layer"), (4, "global")}
    assert found["large"] == 16
    for model, title in (("rank-4", "trained"), ("rank-16", "uncut")):
        scores = json.loads((study / f"metrics/models/{model}.json").read_text())
        assert rows[4, "layer", "kid"][title] == pytest.approx(scores["kid"], rel=1e-5)
    assert "| 4 |" in (study / "page.md").read_text()
    assert run("git", "status", "--porcelain", cwd=study).splitlines() == ["?? page.md", "?? shrink.json"]


def test_what_the_further_judges_and_pictures_add_is_timed_stage_by_stage(study: Path) -> None:
    run("python", "-m", "benchmarks", "additions", "--quick", "--out", "additions.json", cwd=study)
    found = json.loads((study / "additions.json").read_text())
    rows = {row["stage"]: row for row in found["rows"]}
    assert set(rows) == {"sample", "evaluate, portraits", "evaluate, a model", "evaluate, VAE ceiling",
                         "encode, decode again"}  # fmt: skip
    assert rows["evaluate, a model"]["times"] == 2
    assert found["added"] == pytest.approx(sum(row["added"] for row in rows.values()))
    assert all(row["ours_seconds"] > 0 for row in rows.values())
    assert run("git", "status", "--porcelain", cwd=study).splitlines() == ["?? additions.json"]


def test_a_version_of_the_adapter_can_be_got_by_its_tag(study: Path, tmp_path: Path) -> None:
    """DVC's model registry: a tag names a version, and who has the repository's address gets the files."""
    run("dvc", "remote", "add", "--default", "store", tmp_path / "store", cwd=study)
    run("dvc", "push", "train@rank-16", cwd=study)
    run("git", "commit", "--quiet", "--all", "--message", "a store", cwd=study)
    run("gto", "register", "nobel-style", "--version", "v1.0.0", cwd=study)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("git", "init", "--quiet", cwd=elsewhere)
    run("dvc", "artifacts", "get", study.as_uri(), "nobel-style", "--rev", "v1.0.0", cwd=elsewhere)
    for file in (study / "models/lora/rank-16").iterdir():
        assert (elsewhere / "rank-16" / file.name).read_bytes() == file.read_bytes()


def test_one_command_gives_one_row_per_rank(study: Path) -> None:
    (study / "metrics/comparison.md").write_text("not as in git")
    before = run("git", "diff", cwd=study)
    run("laureate", "ranks", cwd=study)
    assert run("git", "diff", cwd=study) == before, "the working tree is as it was"
    rows = experiments(study)
    assert set(rows) == {"rank-4", "rank-16"}
    for model, row in rows.items():
        assert row["selected"] == row["model"] == model
        scores = json.loads((study / f"metrics/models/{model}.json").read_text())
        for score in ("fid", "kid", "lpips", "clip", "is"):
            width = scores[f"{score}_high"] - scores[f"{score}_low"]
            assert abs(float(row[score]) - scores[score]) <= 0.05 * width
    run("laureate", "ranks", cwd=study)  # once more: they are replaced
    assert set(experiments(study)) == {"rank-4", "rank-16"}

    shown = run("dvc", "exp", "show", "--only-changed", "--drop", ".*/", cwd=study).splitlines()
    assert len([line for line in shown if "rank-" in line]) == 4, "workspace, commit and two experiments"
    assert max(map(len, shown)) <= 120
    first = run("dvc", "exp", "show", cwd=study).splitlines()[1][:120].split()
    assert first[:8] == ["Experiment", "Created", "clip", "fid", "is", "kid", "lpips", "model"]


def test_experiments_are_compared_applied_and_sent_elsewhere(study: Path, tmp_path: Path) -> None:
    # before the experiments, as each holds the configuration that names the remote
    run("dvc", "remote", "add", "--default", "store", tmp_path / "store", cwd=study)
    run("git", "commit", "--quiet", "--message", "a store", ".dvc/config", cwd=study)
    run("laureate", "ranks", cwd=study)
    changes = json.loads(run("dvc", "exp", "diff", "--json", "rank-4", "rank-16", cwd=study).splitlines()[-1])
    assert changes["params"]["params.yaml"]["selected"] == {"old": "rank-4", "new": "rank-16"}
    assert changes["metrics"]["metrics/selected.json"]["model"] == {"old": "rank-4", "new": "rank-16"}
    printed = run("dvc", "plots", "diff", "rank-4", "rank-16", "--json", cwd=study).splitlines()[-1]
    assert "errors" not in json.loads(printed)

    run("dvc", "exp", "apply", "rank-4", cwd=study)
    assert json.loads((study / "metrics/selected.json").read_text())["model"] == "rank-4"
    assert yaml.safe_load((study / "params.yaml").read_text())["selected"] == "rank-4"

    hub, clone = tmp_path / "hub.git", tmp_path / "clone"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", hub, cwd=tmp_path)
    run("git", "remote", "add", "origin", hub.as_uri(), cwd=study)
    run("git", "push", "--quiet", "origin", "main", cwd=study)
    run("dvc", "exp", "push", "origin", "rank-16", cwd=study)
    run("git", "clone", "--quiet", hub.as_uri(), clone, cwd=tmp_path)
    run("dvc", "exp", "pull", "origin", "rank-16", cwd=clone)
    run("dvc", "exp", "apply", "rank-16", cwd=clone)
    assert (clone / "models/lora/rank-16/pytorch_lora_weights.safetensors").is_file()
    assert json.loads((clone / "metrics/selected.json").read_text())["model"] == "rank-16"


def test_a_sweep_in_the_queue_shares_one_work_cache(study: Path) -> None:
    """Three learning rates, two workers: each is trained once, and its bytes are those of a run by itself."""
    shutil.rmtree(study / ".work")
    rates = ("0.002", "0.004", "0.008")
    run("dvc", "exp", "run", "--queue", "-S", f"train.learning_rate={','.join(rates)}", "train", cwd=study)
    status = work_off_queue("dvc queue start --jobs 2", study, 900)
    assert len(re.findall("Success", status)) == 3, status
    rows = experiments(study)
    assert sorted(row["train.learning_rate"] for row in rows.values()) == list(rates)
    logs = "".join(run("dvc", "queue", "logs", name, cwd=study) for name in rows)
    assert len(re.findall("train ranks 4, 16: 100%", logs)) == 3
    assert len(re.findall(r"rank (?:4|16) is trained already", logs)) == 3

    again = ("dvc", "repro", "--force", "--single-item", "train@rank-4", "train@rank-16")
    queued = {}
    for name, row in rows.items():
        run("dvc", "exp", "apply", name, cwd=study)
        assert "train ranks" not in run(*again, cwd=study), "it lies in the work cache"
        queued[row["train.learning_rate"]] = trained(study)
    assert len({files["rank-4"] for files in queued.values()}) == 3
    shutil.rmtree(study / ".work")
    for rate in rates:
        shutil.rmtree(study / "models/lora")
        set_parameters(study, {"train.learning_rate": float(rate)})
        assert "train ranks 4, 16: 100%" in run(*again, cwd=study)
        assert trained(study) == queued[rate]


def trained(study: Path) -> dict[str, bytes]:
    """The weights of every rank."""
    folders = sorted((study / "models/lora").glob("rank-*"))
    return {folder.name: (folder / "pytorch_lora_weights.safetensors").read_bytes() for folder in folders}


def test_metrics_and_plots_are_shown(study: Path) -> None:
    models = [f"metrics/models/{model}.json" for model in MODELS]
    table = run("dvc", "metrics", "show", "--md", *models, cwd=study)
    for model in MODELS:
        assert len(re.findall(rf"\| metrics/models/{model}\.json ", table)) == 1
    run("dvc", "plots", "show", cwd=study)
    page = (study / "dvc_plots/index.html").read_text()
    assert not re.findall(r"<script[^>]+src=|<link", page), "it needs no network"
    assert "vegaEmbed" in page
    assert all(f"rank-{rank}" in page for rank in SMALL["ranks"])
    charts = json.loads(run("dvc", "plots", "show", "--json", cwd=study).splitlines()[-1])
    assert "errors" not in charts
    for name in ("KID against rank", "style against content"):
        content = charts["data"][name][0]["content"]
        spec = json.dumps(content) if isinstance(content, dict) else content
        for part in ("_low", "_high", "layer"):
            assert part in spec, (name, part)
    for rank in SMALL["ranks"]:
        assert "holdout_loss" in json.dumps(charts["data"][f"metrics/train/rank-{rank}.csv"])


def experiments(folder: Path) -> dict[str, dict[str, str]]:
    """The experiments that `dvc exp show` lists, by name."""
    table = csv.DictReader(run("dvc", "exp", "show", "--csv", cwd=folder).splitlines())
    return {row["Experiment"]: row for row in table if row["typ"] != "baseline"}
