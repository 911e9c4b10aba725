"""A Ray cluster on this host, drivers in processes of their own, a record of every started stage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mini_study
import psutil
import yaml
from shell import run

SHIM = """#!/bin/sh
echo "$(date +%s.%N) $DVC_STAGE {name} $*" >> {log}
exec {program} "$@"
"""
NODE = {"object_store_memory": 150 * 2**20}


@dataclass
class Nodes:
    """A running cluster: a head without a core, and nodes with one core each."""

    cluster: Any
    workers: list[Any]
    environment: dict[str, str]
    log: Path

    @property
    def address(self) -> str:
        """Where drivers connect to."""
        return str(self.cluster.address)

    def drive(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        """Start `laureate cluster` in a folder."""
        command = [
            sys.executable,
            "-m",
            "laureate",
            "cluster",
            "--address",
            self.address,
            "--cpus",
            "1",
            *words,
        ]
        return subprocess.Popen(
            command,
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def started(self) -> list[tuple[float, str, str]]:
        """(time, stage, command) of every start of a stage's command."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        parts = [line.split(" ", 2) for line in lines]
        return [(float(when), name, command) for when, name, command in parts]

    def lose(self, node: Any) -> None:
        """Kill a node's raylet and workers."""
        self.workers.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def add(self) -> None:
        """One node more."""
        self.workers.append(self.cluster.add_node(num_cpus=1, **NODE))

    def twice(self, store: Path, since: float) -> list[str]:
        """The stages that were started after a run of them was in the remote's run-cache, from a time on."""
        pushed: dict[str, float] = {}
        for entry in store.glob("runs/*/*/[0-9a-f]*"):
            command = yaml.safe_load(entry.read_text())["cmd"]
            pushed[command] = min(entry.stat().st_mtime, pushed.get(command, sys.maxsize))
        again = []
        for at, name, command in self.started():
            if at >= since and at > pushed.get(command, sys.maxsize):
                again.append(name)
        return again

    def wait_for(
        self, stage: str, driver: subprocess.Popen[str], after: float = 0.0, seconds: float = 120
    ) -> None:
        """Wait until a stage has started. Raises AssertionError when the driver ends before."""
        until(
            lambda: any(name.startswith(stage) and at >= after for at, name, _ in self.started()),
            driver,
            seconds,
        )

    def at_work(self, stage: str) -> psutil.Process:
        """The process that runs the task of a stage in a clone. Raises AssertionError if there is none."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            with suppress(OSError):
                ours = "laureate.cluster.worker" in words and words[-2].startswith(self.environment["TMPDIR"])
                if ours and f'["{stage}' in Path(words[-2]).read_text():
                    return process
        raise AssertionError(f"no task of {stage} is at work")

    def raylet_of(self, process: psutil.Process) -> Any:
        """The node whose raylet started a process."""
        parents = {parent.pid for parent in process.parents()}
        for node in self.workers:
            if parents & {entry.process.pid for entries in node.all_processes.values() for entry in entries}:
                return node
        raise AssertionError(f"{process} runs on no node")


def until(happened: Callable[[], bool], driver: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait for something while a driver runs."""
    end = time.monotonic() + seconds
    while not happened():
        assert driver.poll() is None, driver.communicate()[0]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@contextmanager
def nodes(folder: Path, code: Path, count: int = 2) -> Iterator[Nodes]:
    """Start a head and nodes; stage commands go through a program that records their start."""
    from ray.cluster_utils import Cluster

    log, shims = folder / "started.log", folder / "bin"
    shims.mkdir()
    (folder / "step.py").write_text(mini_study.STEP)
    programs = {"laureate": str(shutil.which("laureate")), "step": f"{sys.executable} {folder / 'step.py'}"}
    for name, program in programs.items():
        (shims / name).write_text(SHIM.format(log=log, name=name, program=program))
        (shims / name).chmod(0o755)
    (folder / "tmp").mkdir()
    changed = {
        "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{code / 'src'}{os.pathsep}{code}",
        "TMPDIR": str(folder / "tmp"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    cluster = None
    try:
        options = {"include_dashboard": False, **NODE}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
        added = [cluster.add_node(num_cpus=1, **NODE) for _ in range(count)]
        yield Nodes(cluster, added, dict(os.environ), log)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        if cluster is not None:
            cluster.shutdown()


def kill(process: psutil.Process | subprocess.Popen[str]) -> None:
    """SIGKILL."""
    os.kill(process.pid, signal.SIGKILL)


def clone(source: Path, folder: Path, remote: Path) -> Path:
    """A clone of a repository with a DVC remote in a folder."""
    run("git", "clone", "--quiet", source, folder, cwd=source)
    run("dvc", "remote", "add", "--local", "--default", "store", remote, cwd=folder)
    return folder
