"""`laureate cluster` on two Ray nodes of one host: the bytes of `dvc repro`, also when processes are killed.

LAUREATE_CLUSTER_KILLS=N: N moments of each kind instead of one.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import finished_study
import mini_study
import pytest
import ray_nodes
import yaml
from shell import ROOT, run

from laureate.core import paths

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own: sockets and files of a cluster that was shut down
]

MEASURED = paths.MACHINES.as_posix()  # of every rank: seconds and bytes of memory
KILLS = int(os.environ.get("LAUREATE_CLUSTER_KILLS", "1"))


@pytest.fixture(scope="module")
def nodes() -> Iterator[ray_nodes.Nodes]:
    """A head and two nodes."""
    # Ray's sockets lie below, and the path of a socket has at most 107 bytes
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as place,
        ray_nodes.nodes(Path(place), ROOT) as cluster,
    ):
        yield cluster


@dataclass
class Case:
    """A study that has not run, the same after a serial `dvc repro`, and a clone for a driver."""

    nodes: ray_nodes.Nodes
    source: Path
    serial: Path
    folder: Path  # of this test

    def driver(self, name: str = "driver") -> Path:
        """A clone with the remote that all clones of this test share."""
        return ray_nodes.clone(self.source, self.folder / name, self.folder / "store")

    def check(self, driver: Path, since: float) -> None:
        """The driver's outputs are those of `dvc repro`, and nothing ran again that had been pushed."""
        assert outputs(driver) == outputs(self.serial)
        assert self.nodes.twice(self.folder / "store", since) == []
        assert "up to date" in run("dvc", "status", "dvc.yaml", cwd=driver)


@pytest.fixture(scope="module")
def mini(nodes: ray_nodes.Nodes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The study in small, and a clone in which `dvc repro` ran."""
    place = tmp_path_factory.mktemp("mini")
    source = mini_study.make(place / "source")
    serial = ray_nodes.clone(source, place / "serial", place / "none")
    subprocess.run(["dvc", "repro", "--quiet"], cwd=serial, env=nodes.environment, check=True)
    return source, serial


@pytest.fixture
def case(nodes: ray_nodes.Nodes, mini: tuple[Path, Path], tmp_path: Path) -> Case:
    """It, for one test."""
    return Case(nodes, *mini, tmp_path)


def outputs(folder: Path) -> dict[str, Any]:
    """dvc.lock, and every file that a stage wrote, by name; without what is measured of a training: how long
    it took, how much memory."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    for stage in lock["stages"].values():
        for kind in ("deps", "outs"):
            kept = [entry for entry in stage.get(kind, []) if not entry["path"].startswith(MEASURED)]
            stage[kind] = kept
    found: dict[str, Any] = {"dvc.lock": lock}
    for stage in lock["stages"].values():
        for out in stage["outs"]:
            path = folder / out["path"]
            for file in path.rglob("*") if path.is_dir() else [path]:
                if file.is_file():
                    found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found


def finished(driver: subprocess.Popen[str]) -> str:
    """What a driver printed, which must have succeeded and must not have run a stage by itself."""
    printed = driver.communicate(timeout=280)[0]
    assert driver.returncode == 0, printed
    assert "Note: DVC ran" not in printed
    return printed


def moments(seconds: float) -> list[float]:
    """KILLS times within a span, the first in its middle."""
    rng = random.Random(0)
    return [seconds / 2, *(rng.uniform(0, seconds) for _ in range(KILLS - 1))]


@pytest.mark.parametrize("after", moments(2.0))
def test_a_worker_is_killed_while_it_trains(case: Case, after: float) -> None:
    folder, since, nodes = case.driver(), time.time(), case.nodes
    driver = nodes.drive(folder)
    nodes.wait_for("train", driver, since)
    time.sleep(after)
    task = nodes.at_work("train")
    ray_nodes.kill(task.parent())
    ray_nodes.until(lambda: not task.is_running(), driver)  # and what it started ends with it
    finished(driver)
    case.check(folder, since)
    assert sum(name == "train@rank-4" for at, name, _ in nodes.started() if at >= since) == 2


@pytest.mark.parametrize("after", moments(2.0))
def test_a_node_is_lost(case: Case, after: float) -> None:
    folder, since, nodes = case.driver(), time.time(), case.nodes
    driver = nodes.drive(folder)
    nodes.wait_for("train", driver, since)
    time.sleep(after)
    task = nodes.at_work("train")
    nodes.lose(nodes.raylet_of(task))
    try:
        finished(driver)
    finally:
        nodes.add()
    case.check(folder, since)


@pytest.mark.parametrize("after", moments(4.0))
def test_the_driver_is_killed_and_started_again(case: Case, after: float) -> None:
    folder, since = case.driver(), time.time()
    first = case.nodes.drive(folder)
    case.nodes.wait_for("train", first, since)
    time.sleep(after)
    ray_nodes.kill(first)
    first.communicate()
    printed = finished(case.nodes.drive(folder))
    assert "crawl: taken from the remote" in printed
    case.check(folder, since)


def test_what_a_killed_push_leaves_in_the_run_cache_does_no_harm(case: Case) -> None:
    """DVC copies into a temporary file beside the entry, and takes the newest file of the folder for one."""
    folder, since = case.driver(), time.time()
    first = case.nodes.drive(folder)
    case.nodes.wait_for("report", first, since)
    ray_nodes.kill(first)
    first.communicate()
    entries = list((case.folder / "store/runs").glob("*/*/*"))
    assert len(entries) >= mini_study.COUNT - 2
    for entry in entries:
        (entry.parent / f".{entry.name[:8]}.tmp").touch()
    printed = finished(case.nodes.drive(folder))
    assert printed.count("taken from the remote") >= mini_study.COUNT - 2
    case.check(folder, since)


def test_two_drivers_exclude_each_other(case: Case) -> None:
    folder, other, since = case.driver(), case.driver("other"), time.time()
    first = case.nodes.drive(folder)
    case.nodes.wait_for("train", first, since)
    elsewhere = case.nodes.drive(other)
    here = case.nodes.drive(folder)
    assert "another `laureate cluster` runs in this folder" in here.communicate()[0]
    assert here.returncode == 1
    finished(first)
    case.check(folder, since)
    printed = elsewhere.communicate()[0]
    if elsewhere.returncode:  # the first had not finished while it waited
        assert "another `laureate cluster` uses the remote" in printed
        printed = finished(case.nodes.drive(other))
    assert printed.count("taken from the remote") == mini_study.COUNT
    case.check(other, since)
    assert sum(at >= since for at, *_ in case.nodes.started()) == mini_study.COUNT


def test_only_what_changed_runs_with_parameters_that_are_not_committed(case: Case) -> None:
    """The first run is `dvc repro`'s: what is up to date is pushed for the workers."""
    folder, nodes = case.driver(), case.nodes
    subprocess.run(["dvc", "repro", "--quiet"], cwd=folder, env=nodes.environment, check=True)
    assert finished(nodes.drive(folder)) == "Every stage is up to date.\n"
    since = time.time()
    finished_study.set_parameters(folder, {"evaluate.bootstrap": 123})
    assert "report: ran on" in finished(nodes.drive(folder))
    assert [name for at, name, _ in nodes.started() if at >= since] == ["report"]
    assert "up to date" in run("dvc", "status", "dvc.yaml", cwd=folder)


def test_a_failing_stage_and_other_errors_end_in_a_sentence(case: Case) -> None:
    folder = case.driver()
    (folder / "source.txt").write_text("changed\n")
    printed = case.nodes.drive(folder).communicate()[0]
    assert "source.txt: stages read this, and it is not as in the last commit" in printed
    run("git", "rm", "--quiet", "--force", "source.txt", cwd=folder)
    run("git", "commit", "--quiet", "--message", "without a source", cwd=folder)
    driver = case.nodes.drive(folder)
    printed = driver.communicate()[0]
    assert driver.returncode == 1
    assert "tasks have no result (crawl" in printed
    assert "source.txt" in printed
    assert "Traceback" not in printed


@pytest.mark.skipif(
    KILLS < 2, reason="minutes: with LAUREATE_CLUSTER_KILLS only, the other tests have its graph"
)
def test_the_small_study(
    nodes: ray_nodes.Nodes,
    tmp_path: Path,
    copy_of_repository: Callable[[Path], Path],
    tiny_models: Path,
) -> None:
    """The study's own stages: while it trains, a worker and the driver are killed and a node is lost."""
    source = tmp_path / "source"
    finished_study.prepare(source, copy_of_repository, tiny_models)
    finished_study.set_parameters(source, {"train.steps": 60})  # so that it trains for longer than a wait
    run("git", "add", "--all", cwd=source)
    run("git", "commit", "--quiet", "--message", "a small study", cwd=source)
    serial = ray_nodes.clone(source, tmp_path / "serial", tmp_path / "none")
    run("dvc", "repro", cwd=serial)
    case, begun = Case(nodes, source, serial, tmp_path), time.time()
    folder, since = case.driver(), begun
    driver = nodes.drive(folder)
    for loss in ("worker", "driver", "node"):
        nodes.wait_for("train", driver, since, seconds=280)
        task, since = nodes.at_work("train"), time.time()
        time.sleep(2)
        if loss == "worker":
            ray_nodes.kill(task.parent())
        elif loss == "driver":
            ray_nodes.kill(driver)
            driver.communicate()
            driver = nodes.drive(folder)
        else:
            nodes.lose(nodes.raylet_of(task))
            nodes.add()
    finished(driver)
    case.check(folder, begun)
