"""Replicate: results against those of a git revision, in one sentence, a table and an exit status."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawn_study import draw_study, write_metrics
from hypothesis import given
from hypothesis import strategies as st
from shell import run

from laureate import cli
from laureate.commands import replicate
from laureate.comparison import results_table
from laureate.config import params
from laureate.core.paths import ADVICE, COMPARISON, machine_file
from laureate.evaluation.score_catalog import SCORES
from laureate.stages import compare

MACHINE = {"architecture": "x86_64", "cards": [], "precision": "float32", "torch": "2.13.0+cpu"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study up to its table, committed to git."""
    folder = draw_study(tmp_path_factory.mktemp("finished"), prompts=1, train=1, holdout=1)
    write_metrics(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.run(params.load())
        for rank in (4, 16):
            machine_file(rank).parent.mkdir(exist_ok=True)
            machine_file(rank).write_text(json.dumps(MACHINE | {"processor": "A processor"}))
    (folder / "dvc.lock").write_text("schema: '2.0'\n")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "results", cwd=folder)
    return folder


@pytest.fixture
def study(finished: Path, working_copy: Any) -> Path:
    return Path(working_copy(finished))


def said(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    status = cli.main(["replicate", *options])
    return status, capsys.readouterr().out


def rows(**values: tuple[float, float, float]) -> replicate.Rows:
    """One row of a model with value, low and high of some scores."""
    row: dict[str, results_table.Value] = {"model": "rank-4"}
    for key, (value, low, high) in values.items():
        row |= {key: value, f"{key}_low": low, f"{key}_high": high}
    return {"rank-4": row}


def test_the_same_results_replicate(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = said(capsys)
    assert status == 0
    assert printed.startswith("Replicated: the advice is the same (rank ")
    assert "no score has changed." in printed.splitlines()[0]
    assert printed.count("A processor, float32, torch 2.13.0+cpu") == 2


def test_a_score_that_leaves_its_interval_is_marked_and_fails(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results_table.read_csv(COMPARISON)
    row = found.loc["rank-4"]
    found.loc["rank-4", "kid"] = 2 * row["kid_high"] - row["kid_low"]
    COMPARISON.write_text(results_table.to_csv(found))
    machine_file(4).write_text(json.dumps(MACHINE | {"processor": "B", "precision": "bfloat16"}))
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["train"]["steps"] = 3
    values["selected"] = "baseline"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    status, printed = said(capsys)
    assert status == 1
    first = printed.splitlines()[0]
    assert first.startswith("Not replicated: the advice is the same")
    assert "; 1 of " in first
    assert "KID of rank 4, by 1" in first
    (line,) = [line for line in printed.splitlines() if line.startswith("KID ")]
    assert line.count("!") == 1
    assert "here: B, bfloat16, torch 2.13.0+cpu; A processor, float32" in printed
    assert "Parameters that differ: train.steps 80 → 3\n" in printed


def test_other_advice_fails(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advice = json.loads(ADVICE.read_text())
    ADVICE.write_text(json.dumps(advice | {"rank": None}))
    status, printed = said(capsys)
    assert status == 1
    assert printed.startswith(f"Not replicated: the advice is no rank instead of rank {advice['rank']};")


def test_a_model_of_one_side_only_fails(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = results_table.read_csv(COMPARISON).drop("rank-4")
    COMPARISON.write_text(results_table.to_csv(found))
    status, printed = said(capsys)
    assert status == 1
    assert "only one side has rank-4." in printed.splitlines()[0]


def test_restore_gives_the_results_their_content_again_and_touches_nothing_else(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (COMPARISON, Path("dvc.lock")):
        path.write_text(path.read_text() + "\n")
    Path("data/published.yaml").write_text("mine")
    assert said(capsys, "--restore")[0] == 0
    assert run("git", "status", "--porcelain", cwd=study) == " M data/published.yaml\n"


def test_without_a_revision_it_says_so(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replicate", "--rev", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err
    run("git", "rm", "--quiet", "--cached", str(COMPARISON), cwd=study)
    run("git", "commit", "--quiet", "--message", "no table", cwd=study)
    assert cli.main(["replicate"]) == 1
    message = capsys.readouterr().err
    assert "comparison.csv" in message
    assert "--rev must name a commit that holds results" in message
    subprocess.run(["rm", "-rf", ".git"], check=True)
    assert cli.main(["replicate"]) == 1
    assert "git repository" in capsys.readouterr().err


@given(
    value=st.floats(-10, 10),
    below=st.floats(0.01, 5),
    above=st.floats(0.01, 5),
    place=st.floats(-3, 3),
)
def test_a_change_is_a_share_of_the_interval_before(
    value: float, below: float, above: float, place: float
) -> None:
    low, high = value - below, value + above
    new = value + place * (high - low)
    (change,) = replicate.changes(rows(kid=(value, low, high)), rows(kid=(new, 0.0, 0.0)))
    assert change.share == pytest.approx(place, abs=1e-6)
    assert change.beyond == (new != value and (new < low or new > high))


def test_a_change_from_no_width_is_beyond_it() -> None:
    (change,) = replicate.changes(rows(style_read=(1.0, 1.0, 1.0)), rows(style_read=(0.9, 0.8, 1.0)))
    assert change.beyond
    assert "∞ !" in replicate.table([change])
    (same,) = replicate.changes(rows(style_read=(1.0, 1.0, 1.0)), rows(style_read=(1.0, 1.0, 1.0)))
    assert not same.beyond
    assert same.share == 0


def test_the_table_has_a_line_of_every_score_that_both_have(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = said(capsys)[1].splitlines()
    valued = results_table.scores_with_values(results_table.read_csv(COMPARISON))
    assert [score.label for score in SCORES if any(li.startswith(score.label + " ") for li in printed)] == [
        score.label for score in valued
    ]
