"""The folders in which tasks work on a node, and commands that end with the process that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from laureate.cluster import node
from laureate.core.errors import LaureateError


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of this test work in its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_goes_with_its_task_and_others_stay_while_theirs_runs() -> None:
    with node._folder("one") as first:
        (first / "clone").mkdir()
        with node._folder("one") as second:
            assert first.is_dir()
            assert first != second
        assert first.is_dir()
        assert not second.exists()
    assert not first.exists()


def test_what_killed_tasks_left_is_removed_and_stores_of_other_commits() -> None:
    root = node._root()
    (root / "task-killed/clone").mkdir(parents=True)
    (root / "task-killed/lock").touch()
    for commit in ("old", "new"):
        (root / f"{commit}.git").mkdir()
    with node._folder("new"):
        assert not (root / "task-killed").exists()
        assert [store.name for store in root.glob("*.git")] == ["new.git"]
        with node._folder("newer"):
            assert (root / "new.git").is_dir()  # the other task's clone shares its objects


def test_a_failed_command_ends_in_its_last_lines(tmp_path: Path) -> None:
    code = "print('\\n'.join(map(str, range(100)))); raise SystemExit(3)"
    with pytest.raises(LaureateError, match=r"(?s)crawl failed \(status 3\):\n  85\n.*  99$"):
        node._run([sys.executable, "-c", code], tmp_path, dict(os.environ), "crawl")


def test_what_a_worker_started_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """The worker's own guard: a child of it sleeps, the parent is killed, and both are gone."""
    inner = (
        "import subprocess; from laureate.cluster.worker import die_with_parent; die_with_parent(); "
        "subprocess.run(['sleep', '60'])"
    )
    outer = (
        "import os, pathlib; from laureate.cluster import node; node._run("
        f"[{sys.executable!r}, '-c', {inner!r}], pathlib.Path({str(tmp_path)!r}), dict(os.environ), 'x')"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer])
    process = psutil.Process(parent.pid)
    end = time.monotonic() + 60
    while not any(child.name() == "sleep" for child in process.children(recursive=True)):
        assert time.monotonic() < end
        time.sleep(0.05)
    started = process.children(recursive=True)
    parent.kill()
    parent.wait()
    assert psutil.wait_procs(started, timeout=30)[1] == []
