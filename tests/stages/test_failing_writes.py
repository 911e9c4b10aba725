"""The n-th write of a command fails, or it is killed there: a sentence, nothing half-written, and the same
bytes after a run without the fault.

FAULT_POINTS=all in the environment tries every n with every kind of fault; otherwise two of each command.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import faulty_runs
import pytest
from failing_writes import FAULTS, failing
from faulty_runs import KILLED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ALL = os.environ.get("FAULT_POINTS") == "all"
TRIED = 2  # points of a command, where not all are tried


@dataclass(frozen=True)
class Case:
    """One command: the study that it runs in, and what is special about it."""

    words: str
    study: str
    forget: bool = False  # remove the work folder first: else all is in the cache of earlier runs
    remove: str = ""  # an output that is made anew
    inside: str = ""  # the module whose process the fault is in


CASES = {
    "crawl": Case("crawl", "empty"),
    "crawling process": Case("crawl", "empty", inside="crawler"),
    "prepare": Case("prepare", "drawn"),
    "evaluate": Case("evaluate --model rank-4", "drawn", forget=True),
    "compare": Case("compare", "drawn"),
    "select": Case("select", "drawn"),
    "report": Case("report", "drawn"),
    "encode": Case("encode", "trained"),
    "train": Case("train --rank 4", "trained", forget=True),
    "choose": Case("choose --rank 2", "trained"),
    "sample": Case("sample --model rank-2", "trained"),
    "export": Case("export --rank 2 --to kohya", "trained"),
    "export for diffusers": Case("export --rank 2 --to diffusers", "trained"),
    "card": Case("card --rank 2", "trained"),
    "push": Case("push --rank 2 --repo me/x", "trained"),
    "fetch": Case("fetch", "trained", remove="fetched"),
    "images": Case("images --model painter", "trained"),
    "portrait": Case("portrait me.png --steps 4", "trained"),
    "poster": Case("poster me.png --name A --subject B --out poster.png", "trained"),
    "score": Case(
        "score --reference data/dataset/holdout a=data/samples/baseline --judge vision "
        "--html p.html --json p.json --csv p.csv",
        "drawn",
    ),
    "world": Case("world nobel", "drawn"),
    "doctor": Case("doctor mine --fix mended", "drawn"),
    "replicate": Case("replicate --restore", "drawn"),
}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but those that only save time or tell of the time, and git's."""
    left_out = {".work", ".git", ".raw-crawl", "crawl_report.json", "crawl_report.md", "machines"}
    files = (path for path in folder.rglob("*") if path.is_file() and not left_out & {*path.parts})
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def set_aside(names: set[str]) -> set[str]:
    """The names that files had before their folder was set aside to be replaced."""
    parts = (name.split("/") for name in names)
    return {
        "/".join(p[1:-12] if p.startswith(".") and p.endswith(".before.part") else p for p in path)
        for path in parts
    }


@pytest.mark.parametrize("name", CASES)
def test_a_failing_write(
    studies: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str
) -> None:
    case = CASES[name]
    monkeypatch.setenv("PAINTER_KEY", "0123456789")
    words = [*(["--params", "fetch.yaml"] if name == "fetch" else []), *case.words.split()]

    def fresh(place: str) -> Path:
        folder = Path(shutil.copytree(studies[case.study], tmp_path / place, symlinks=True))
        if case.forget:
            shutil.rmtree(folder / ".work", ignore_errors=True)
        return folder

    folder = fresh("whole")
    before = contents(folder)
    outcome = faulty_runs.run(words, folder, inside=case.inside)
    assert outcome.status == 0, outcome.said
    whole, steps = contents(folder), outcome.steps
    assert name == "replicate" or steps > 0  # it has git write
    every = [(point, fault) for point in range(1, steps + 1) for fault in FAULTS]
    if not ALL:  # spread, with another fault for each
        points = [1 + i * (steps - 1) // (TRIED - 1) for i in range(TRIED)] if steps else []
        start = list(CASES).index(name)
        every = list(zip(points, islice(cycle(FAULTS), start, None), strict=False))
    for point, fault in every:
        what = (name, point, fault)
        folder = fresh("faulty")
        outcome = faulty_runs.run(words, folder, point, FAULTS[fault], case.inside)
        assert "Traceback" not in outcome.said, (what, outcome.said)
        assert "unexpected error" not in outcome.said, (what, outcome.said)
        killed = outcome.status == KILLED
        assert killed or outcome.status in (0, 1), (what, outcome)
        left = contents(folder)
        if outcome.status == 1:
            assert "laureate: " in outcome.said, what
        if outcome.status == 0:  # a step that does not matter, such as a folder that is there already
            assert left == whole, what
        ended = killed or fault == "EROFS" or bool(case.inside)  # nothing could be cleaned up
        for file, data in left.items():
            assert ended or not file.endswith(".part"), (what, file)
            if ".part" not in file:
                assert data in (before.get(file), whole.get(file)), (what, file)
        assert before.keys() <= (left.keys() | set_aside({*left}) if ended else left.keys()), what
        if left != whole:
            again = faulty_runs.run(words, folder)
            assert again.status == 0, (what, again.said)
            assert contents(folder) == whole, (what, contents(folder).keys() ^ whole.keys())
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f"{name}: {len(every)} faults at {steps} steps of writing", file=sys.stderr)


def test_the_wrapper_sees_every_way_of_writing(tmp_path: Path) -> None:
    from PIL import Image

    def ways() -> dict[str, Callable[[], object]]:
        return {
            "text": lambda: (tmp_path / "a").write_text("x"),
            "bytes": lambda: (tmp_path / "b").write_bytes(b"x"),
            "picture": lambda: Image.new("RGB", (8, 8)).save(tmp_path / "c.png"),
            "jpeg": lambda: Image.new("RGB", (8, 8)).save(tmp_path / "c.jpg"),
            "copy": lambda: shutil.copyfile(tmp_path / "a", tmp_path / "d"),
            "rename": lambda: (tmp_path / "d").replace(tmp_path / "e"),
            "folder": lambda: (tmp_path / "f").mkdir(),
        }

    for name, way in ways().items():
        with failing(tmp_path, at=0) as writes:
            way()
        assert writes.count > 0, name
        if name == "folder":
            (tmp_path / "f").rmdir()
        if name != "rename":
            with failing(tmp_path, at=writes.count), pytest.raises(OSError, match="No space"):
                way()
