"""DVC around a stage of ours: two at once, one that is killed while its stage lives, a spoilt cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import run

# a stage as ours are: it prepares its output aside, and waits in the middle of that
STAGE = """
import os, time
from pathlib import Path
from laureate import cli
from laureate.stages import select
from laureate.core.files import fresh_folder

def work(params):
    with fresh_folder("out") as folder:
        (folder / "a").write_text(Path("source.txt").read_text())
        Path("begun").write_text(str(os.getpid()))
        while not Path("go").exists():
            time.sleep(0.05)
        (folder / "b").write_text("done")

select.run = work
raise SystemExit(cli.program())
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of DVC with this one stage."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    run("git", "init", "--quiet", cwd=tmp_path)
    run("dvc", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "params.yaml").write_text("sample: {prompts: [p.yaml]}")
    (tmp_path / "p.yaml").write_text("- {id: a, text: A., set: seed}")
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "source.txt").write_text("first")
    stage = f"{{cmd: {sys.executable} stage.py select, deps: [source.txt], outs: [out]}}"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{select: {stage}}}")
    return tmp_path


def begin(study: Path) -> subprocess.Popen[bytes]:
    """`dvc repro`, until its stage has begun to write."""
    (study / "begun").unlink(missing_ok=True)
    with (study / "log").open("w") as log:
        process = subprocess.Popen(["dvc", "repro"], cwd=study, stdout=log, stderr=log)
    wait(lambda: (study / "begun").exists() and bool((study / "begun").read_text()))
    return process


def wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def content(study: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (study / "out").iterdir()}


def test_two_at_once(study: Path) -> None:
    first = begin(study)
    said = run("dvc", "repro", cwd=study, fails=True)
    assert "Traceback" not in said
    assert "lock" in said.lower() or "busy" in said.lower(), said
    (study / "go").touch()
    assert first.wait(120) == 0
    assert "Traceback" not in (study / "log").read_text()
    assert content(study) == {"a": "first", "b": "done"}
    assert "up to date" in run("dvc", "repro", cwd=study)


def test_dvc_is_killed_and_its_stage_lives(study: Path) -> None:
    first = begin(study)
    stage = int((study / "begun").read_text())
    first.send_signal(signal.SIGKILL)
    first.wait()
    os.kill(stage, 0)  # it is still there
    (study / "source.txt").write_text("second")  # what the one that lives has not read
    said = run("dvc", "repro", cwd=study, fails=True)
    assert "out is being written by another process" in said
    assert "Traceback" not in said
    (study / "go").touch()
    wait(lambda: (study / "out/b").exists())
    run("dvc", "repro", cwd=study)
    assert content(study) == {"a": "second", "b": "done"}
    assert "up to date" in run("dvc", "status", cwd=study)


def test_a_spoilt_object_of_the_cache_is_made_again(study: Path) -> None:
    (study / "go").touch()
    run("dvc", "repro", cwd=study)
    for place in [study / "out", *(study / ".dvc/cache").rglob("*")]:
        place.chmod(0o755)
    for file in (study / ".dvc/cache/files").rglob("*"):
        if file.is_file() and not file.name.endswith(".dir"):
            file.write_text("spoilt")
    for file in list((study / "out").iterdir()):
        file.unlink()
    (study / "out").rmdir()
    run("dvc", "repro", cwd=study)
    assert content(study) == {"a": "first", "b": "done"}
