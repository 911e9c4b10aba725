"""`laureate study`: DVC is started where a file has changed, and only there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from laureate.commands import fetch, replicate, study, up_to_date

LOCKED = {
    "train": {
        "deps": [{"path": "data/raw", "size": 6, "nfiles": 2}, {"path": "code.py", "size": 4}],
        "outs": [{"path": "models/one", "size": 3}],
    },
    "gone": {"deps": [{"path": "no/such/file", "size": 1}], "outs": []},  # no stage of dvc.yaml any more
}
FILES = {
    "data/raw/a": "abc",
    "data/raw/b/c": "abc",
    "code.py": "code",
    "models/one": "one",
    "params.yaml": "x: 1",
}


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A folder as `dvc repro` leaves it; when that began, in nanoseconds."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    time.sleep(0.05)  # times of files are those of the last tick of a clock
    started = time.time_ns()
    Path("dvc.yaml").write_text("stages: {train: {cmd: laureate train}}")
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": LOCKED}))
    return started


def test_what_was_noted_is_unchanged(done: int) -> None:
    assert not up_to_date.is_unchanged()
    assert up_to_date.note(done)
    assert up_to_date.is_unchanged()
    (Path("data/raw/__pycache__")).mkdir()
    Path("data/raw/__pycache__/a.pyc").write_text("")  # DVC does not look at it either
    Path("README.md").write_text("of no stage")
    assert up_to_date.is_unchanged()


def rewrite(path: str) -> None:
    """The same length, and the time of change as before."""
    before = Path(path).stat()
    Path(path).write_text(FILES[path].upper())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[], object]] = {
    "an input": lambda: rewrite("data/raw/b/c"),
    "an output": lambda: rewrite("models/one"),
    "an input gone": lambda: Path("code.py").unlink(),
    "an output gone": lambda: Path("models/one").unlink(),
    "one more in a folder": lambda: Path("data/raw/d").write_text(""),
    "the parameters": lambda: Path("params.yaml").write_text("x: 2"),
    "the pipeline": lambda: Path("dvc.yaml").write_text("stages: {train: {cmd: laureate train -v}}"),
    "the lock": lambda: Path("dvc.lock").write_text(""),
    "what DVC ignores": lambda: Path(".dvcignore").write_text("data"),
    "the note": lambda: up_to_date.FILE.write_text("{"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(done: int, change: str) -> None:
    assert up_to_date.note(done)
    time.sleep(0.05)
    CHANGES[change]()
    assert not up_to_date.is_unchanged()


@pytest.mark.parametrize("change", ["an input", "an input gone", "one more in a folder", "an output gone"])
def test_what_changed_while_dvc_ran_is_not_noted(done: int, change: str) -> None:
    """Whether DVC saw it before or after is not known."""
    CHANGES[change]()
    assert not up_to_date.note(done)
    assert not up_to_date.is_unchanged()


def test_dvc_runs_once(
    done: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first time, and again where it failed; its exit status is that of the command."""
    Path("metrics").mkdir()
    study.TABLE.write_text("| **16** | 1.5 <sub>1 to 2</sub> |\n")
    statuses = [3, 0]
    monkeypatch.setattr(fetch, "run", lambda _: print("fetched"))
    monkeypatch.setattr(replicate, "run", lambda *_, **__: print("replicated"))
    monkeypatch.setattr(study, "repro", lambda: statuses.pop(0))
    loaded: Any = None  # only `fetch` and `replicate` look at it
    assert study.run(loaded, "params.yaml") == 3
    assert capsys.readouterr().out == "fetched\n"
    assert study.run(loaded, "params.yaml") == 0
    printed = capsys.readouterr().out
    assert "| 16 | 1.5 (1 to 2) |\n\nreplicated\nThe report: " in printed
    assert "up to date" not in printed
    assert study.run(loaded, "params.yaml") == 0  # there is no third status to take
    assert "Data and pipelines are up to date." in capsys.readouterr().out


def test_the_exit_status_of_dvc_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no repository
    assert study.repro() != 0
