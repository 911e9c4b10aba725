"""Two processes that write the same output: the second is refused, and a killed one is no obstacle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from laureate.core import files
from laureate.core.errors import LaureateError

WRITER = """
import sys
from laureate.core.files import fresh_folder
with fresh_folder("out") as folder:
    (folder / "a").write_text("first")
    print("begun", flush=True)
    sys.stdin.readline()
    (folder / "b").write_text("first")
"""


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    """A process that has begun to write the folder `out`, and goes on after a line."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def second() -> None:
    with files.fresh_folder("out") as folder:
        (folder / "a").write_text("second")


def test_a_folder_is_written_by_one_process_at_a_time(writer: subprocess.Popen[str]) -> None:
    with pytest.raises(LaureateError, match="out is being written by another process"):
        second()
    writer.communicate("go on\n", timeout=60)
    assert writer.returncode == 0
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {"a": "first", "b": "first"}
    second()
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {"a": "second"}
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed(writer: subprocess.Popen[str]) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert Path(".out.part/a").exists()
    second()
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {"a": "second"}
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_a_file_system_without_locks_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcntl.flock", none)
    Path(".out.part").mkdir()
    Path(".out.part/left over").touch()
    second()
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {"a": "second"}


def test_a_shared_file_is_prepared_under_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / ".cached.part").write_text("another process is writing")
    files.write_bytes(tmp_path / "cached", b"whole", shared=True)
    assert (tmp_path / "cached").read_bytes() == b"whole"
    assert (tmp_path / ".cached.part").read_text() == "another process is writing"
    assert len(list(tmp_path.iterdir())) == 2
