"""The number of threads follows what the system lets a process use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laureate.core import cores


def group(tmp_path: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A control group's files, and what says that the process is in it."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own = tmp_path / "own"
    own.write_text(line)
    return tmp_path / "cgroup", own


def of_version_1(quota: str) -> dict[str, str]:
    """The files of a group of the first version."""
    return {"cpu/box/cpu.cfs_quota_us": quota, "cpu/box/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/pod/box\n", {"pod/box/cpu.max": "max 100000\n", "pod/cpu.max": "150000 100000\n"}, 2),
        ("0::/pod/box\n", {"pod/box/cpu.max": "50000 100000\n", "pod/cpu.max": "300000 100000\n"}, 1),
        ("4:cpu,cpuacct:/box\n", of_version_1("400000"), 4),
        ("4:cpu,cpuacct:/box\n", of_version_1("-1"), 8),
        ("4:memory:/box\n", {"box/cpu.max": "100000 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "nonsense"}, 8),
        ("", {}, 8),
    ],
)  # fmt: skip
def test_quotas_are_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.usable(*group(tmp_path, line, files)) == expected


def test_what_the_user_has_set_stays() -> None:
    environment = {"OMP_NUM_THREADS": "3"}
    cores.share_cores(1, environment)
    assert environment["OMP_NUM_THREADS"] == "3"
    environment = {}
    cores.share_cores(None, environment)
    assert environment["OMP_NUM_THREADS"] == str(cores.usable())


def test_torch_has_the_wanted_threads() -> None:
    """The environment is read when torch is loaded: a process of its own."""
    code = (
        "import os; from laureate.core import cores; cores.share_cores(1, os.environ); import torch; "
        "print(torch.get_num_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr
