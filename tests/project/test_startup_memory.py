"""Freed memory is kept by the C library for the next request, but not beside large networks."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from laureate import startup

FAULTS = """
import resource, sys
import numpy as np
from laureate import startup
if sys.argv[1] == "keep":
    print(startup.keep_freed_memory())
def work():
    for _ in range(10):
        np.ones(5_000_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory its own way")
def test_freed_memory_is_kept_for_the_next_request() -> None:
    def faults(how: str) -> int:
        # without what another library of this process has put there for its own children
        tuned = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(tuned)}
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, env=clean
        )
        return int(done.stdout.split()[-1])

    assert faults("keep") < 100
    assert faults("keep") < faults("not") / 2


def test_memory_is_not_kept_beside_large_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: True)
    assert startup.keep_freed_memory_beside(tmp_path / "nothing yet")
    (tmp_path / "unet").mkdir()
    with (tmp_path / "unet" / "weights.safetensors").open("wb") as file:
        file.truncate(startup.LARGE - 1)  # takes no room
        assert startup.keep_freed_memory_beside(tmp_path)
        file.truncate(startup.LARGE)
        assert not startup.keep_freed_memory_beside(tmp_path)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert startup.keep_freed_memory() is False
