"""The benchmark of every stage, on a small graph of DVC."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shell import ROOT

from benchmarks import __main__ as command
from benchmarks import harness, stages

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of DVC's index

GRAPH = f"""
stages:
  sample:
    matrix: {{adapter: [rank], of: [4, 8]}}
    cmd: {sys.executable} -c "open('drawn-${{item.of}}', 'x').write(open('trained').read())"
    deps: [trained]
    outs: ["drawn-${{item.of}}"]
  train:
    cmd: {sys.executable} -c "open('trained', 'w').write(str(len(b'x' * 100_000_000)))"
    deps: [params.yaml]
    outs: [trained]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "models").mkdir()  # another graph, which made what is in git
    (folder / "models/dvc.yaml").write_text("stages: {pretrain: {cmd: exit 1, outs: [weights]}}\n")
    for words in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(words, cwd=folder, check=True)
    return folder


def test_every_stage_is_run_in_a_copy_after_those_that_it_needs(study: Path, tmp_path: Path) -> None:
    before, out = sorted(study.iterdir()), tmp_path / "stages.json"
    words = ["stages", "--study", str(study), "--precision", "float32", "--out", str(out)]
    assert command.main(words) == 0
    rows = {row["verb"]: row for row in harness.read(out)["rows"]}
    assert list(rows) == ["train", "sample", "all"]
    assert [rows[verb]["times"] for verb in rows] == [1, 2, 3]
    assert rows["train"]["memory"] == rows["all"]["memory"] > 90 > rows["sample"]["memory"] > 1
    assert rows["all"]["seconds"] == pytest.approx(rows["train"]["seconds"] + rows["sample"]["seconds"])
    assert rows["sample"]["longest"] < rows["sample"]["seconds"]
    assert {row["precision"] for row in rows.values()} == {"float32"}
    assert sorted(study.iterdir()) == before, "nothing is written into the study"


def test_a_stage_that_fails_is_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "drawn-8").touch()
    assert command.main(["stages", "--study", str(study), "--out", str(study / "x.json")]) == 1
    said = capsys.readouterr().err
    assert "ended with 1" in said
    assert "FileExistsError" in said
    assert not (study / "x.json").exists()


def test_stages_are_counted_by_verb() -> None:
    names = ["sample@rank-4", "sample-baseline", "evaluate-portraits@noise-floor", "crawl"]
    assert [stages.verb_of(name) for name in names] == ["sample", "sample", "evaluate", "crawl"]
