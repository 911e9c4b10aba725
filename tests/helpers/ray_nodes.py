"""A Ray cluster on this host, drivers in processes of their own, a record of every started stage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from conftest import run

SHIM = """#!/bin/sh
echo "$(date +%s.%N) $DVC_STAGE" >> {log}
exec {program} "$@"
"""


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

    def started(self) -> list[tuple[float, str]]:
        """(time, stage) of every start of a stage's command."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(float(when), name) for when, name in (line.split(" ", 1) for line in lines)]

    def wait_for(
        self, stage: str, driver: subprocess.Popen[str], after: float = 0.0, seconds: float = 120
    ) -> None:
        """Wait until a stage has started. Raises AssertionError when the driver ends before."""
        until(
            lambda: any(name.startswith(stage) and at >= after for at, name in self.started()),
            driver,
            seconds,
        )

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


def running(words: str) -> psutil.Process | None:
    """The process of a stage's command, `laureate train` and so on, if one runs below a task of this test."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if words in line and "/bin/sh" not in line and "-c" not in (process.info["cmdline"] or [])[:2]:
            return process
    return None


def workers() -> list[psutil.Process]:
    """The processes that run a task in a clone (`laureate.cluster.worker`)."""
    return [
        p for p in psutil.process_iter(["cmdline"]) if "laureate.cluster.worker" in (p.info["cmdline"] or [])
    ]


@contextmanager
def nodes(folder: Path, code: Path, count: int = 2) -> Iterator[Nodes]:
    """Start a head and nodes; stage commands go through a program that records their start."""
    from ray.cluster_utils import Cluster

    log, shims = folder / "started.log", folder / "bin"
    shims.mkdir()
    program = shutil.which("laureate")
    (shims / "laureate").write_text(SHIM.format(log=log, program=program))
    (shims / "laureate").chmod(0o755)
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
        options = {"include_dashboard": False, "object_store_memory": 150 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
        added = [cluster.add_node(num_cpus=1, object_store_memory=150 * 2**20) for _ in range(count)]
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
