"""`laureate cluster` without a run: claims, plan, errors before Ray starts, the files of docs/cluster."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import mini_study
import pytest
import yaml
from shell import run

from laureate import cli
from laureate.cluster import study
from laureate.cluster.tasks import Resources, Task
from laureate.commands import cluster
from laureate.config import params
from laureate.core.errors import LaureateError

# DVC's use of pygtrie
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def test_a_task_with_a_model_claims_a_gpu_where_there_are_some(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    loaded = params.load()
    claims = cluster._claims(loaded, [Resources(8), Resources(4, 2)], 0)
    assert claims["train"] == claims["evaluate"] == Resources(1, 1)
    assert "crawl" not in claims
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cluster._claims(loaded, [Resources(4, 1)], 2)["sample"] == Resources(2, 1)


def test_without_gpus_it_claims_its_threads_and_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    claims = cluster._claims(params.load(), [Resources(8), Resources(4)], 0)
    assert claims["sample"] == Resources(int(cluster.os.environ["OMP_NUM_THREADS"]))
    assert claims["train"].memory == 0  # a small base fits anywhere
    monkeypatch.setattr(cluster, "LARGE", 0)
    monkeypatch.delenv("OMP_NUM_THREADS")
    claims = cluster._claims(params.load(), [Resources(8), Resources(4)], 0)
    assert claims["sample"] == Resources(4)
    assert claims["pack"].memory > claims["train"].memory > 2**28


def test_the_plan_says_where_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cluster.TIMES.parent.mkdir(parents=True)
    cluster.TIMES.write_text('{"crawl": 10.0, "sample@rank-4": 5.0}')
    one = Resources()
    tasks = [
        Task("crawl", ("crawl",), (), (), one),
        Task("sample@rank-4", ("sample@rank-4",), ("crawl",), ("crawl",), one),
        Task("report", ("report",), (), (), one),
    ]
    printed = cluster._plan(tasks, [Resources(1), Resources(1)])
    rows = [line.split() for line in printed.splitlines()]
    assert rows[1] == ["crawl", "1", "CPU", "0", "0.0", "10.0", "nothing"]
    assert rows[2] == ["sample@rank-4", "1", "CPU", "0", "10.0", "15.0", "crawl"]
    assert rows[3] == ["report", "1", "CPU", "1", "0.0", "0.0", "nothing"]
    assert "No time is known of 1 stages, such as report" in printed
    assert printed.endswith("about 15 s")


def test_what_is_wrong_is_said_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mini_study.make(tmp_path / "study")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cluster, "_connected", lambda address: pytest.fail("Ray was started"))
    assert cli.main(["cluster"]) == 1
    assert "dvc remote add --default" in capsys.readouterr().err
    run("dvc", "remote", "add", "--default", "store", "http://127.0.0.1:1/", cwd=folder)
    assert cli.main(["cluster"]) == 1
    assert "DVC has no run-cache on an HTTP remote" in capsys.readouterr().err
    run("dvc", "remote", "modify", "store", "url", tmp_path / "store", cwd=folder)
    stray = folder / "data/samples/left.png"
    stray.parent.mkdir()
    stray.write_bytes(b"of another experiment")
    assert cli.main(["cluster"]) == 1
    assert "data/samples/left.png: stages read this" in capsys.readouterr().err


def test_files_that_no_stage_reads_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mini_study.make(tmp_path / "study")
    monkeypatch.chdir(folder)
    (folder / "notes.md").write_text("mine\n")
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text() + "# mine\n")
    with study.opened() as repo:
        commit = study.check_commit(repo)
        (folder / "source.txt").write_text("changed\n")
        with pytest.raises(LaureateError, match=r"source\.txt: stages read this"):
            study.check_commit(repo)
        stages = study.stages_of(repo)
    assert run("git", "rev-parse", "HEAD", cwd=folder).strip() == commit
    assert stages[0].name == "crawl"
    assert len(stages) == mini_study.COUNT
    assert all(stage.stale for stage in stages)
    assert list(study.own_files()) == ["params.yaml"]
    assert study.own_files()["params.yaml"].endswith("# mine\n")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1:port"])
def test_a_cluster_that_does_not_answer(address: str) -> None:
    with (
        pytest.raises(LaureateError, match=f"no Ray cluster answers at {address}"),
        cluster._connected(address),
    ):
        pass


def test_the_files_of_the_documentation(root: Path) -> None:
    page = (root / "docs/cluster.md").read_text(encoding="utf-8")
    files = sorted((root / "docs/cluster").iterdir())
    assert len(files) == 4
    for file in files:
        assert f"(cluster/{file.name})" in page
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".yaml":
            yaml.safe_load(text)
        else:
            subprocess.run(["bash", "-n", str(file)], check=True)
        commands = re.findall(r"laureate cluster( --address \S+)", text)
        assert commands
        for command in commands:
            assert cli._parser().parse_args(["cluster", *command.split()]).address
