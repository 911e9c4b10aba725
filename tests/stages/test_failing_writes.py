"""The n-th write of a stage or command fails: a sentence, nothing half-written, the same bytes afterwards.

FAULT_POINTS=all in the environment tries every n; otherwise a few of each stage are tried.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from drawn_study import draw_study
from failing_writes import failing

from laureate import cli
from laureate.commands import export

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ALL = os.environ.get("FAULT_POINTS") == "all"
TRIED = 4  # points of a stage, where not all are tried


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """A drawn study with an image folder, evaluated and compared."""
    folder = draw_study(tmp_path_factory.mktemp("drawn"), prompts=3, train=6, holdout=4)
    for judge in ("clip", "vision"):
        shutil.copytree(tiny_models / judge, folder / "models/embedded" / judge)
    mine = folder / "mine"
    mine.mkdir()
    for part in ("train", "holdout"):
        for number, file in enumerate(sorted((folder / "data/dataset" / part).glob("*.png"))):
            shutil.copy(file, mine / file.name)
            (mine / file.name).with_suffix(".txt").write_text(f"A portrait, number {number} of {part}.")
    root = Path(__file__).resolve().parents[2]
    shutil.copy(root / "data/vocabulary.yaml", folder / "data")
    (folder / "data/captions.yaml").write_text("{}")
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["prepare"] |= {"source": "mine", "min_train": 3, "min_holdout": 3, "holdout": 0.5, "near": 0.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in ("noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16"):
            assert cli.main(["evaluate", "--model", model]) == 0
        assert cli.main(["compare"]) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but those of the work folder, which only saves time."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if ".work" not in p.parts}


DRAWN = [["prepare"], ["evaluate", "--model", "rank-4"], ["compare"], ["report"]]
TRAINED = [
    ["encode"],
    ["train", "--rank", "4"],
    ["sample", "--model", "rank-2"],
    ["export", "--rank", "2", "--to", "kohya"],
]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("words", [*DRAWN, *TRAINED], ids=lambda words: words[0])
def test_a_failing_write(
    drawn: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    number: int,
) -> None:
    monkeypatch.setattr(export, "commit", lambda: "unknown")
    made = drawn if words in DRAWN else trained

    def fresh(name: str) -> Path:
        folder = Path(shutil.copytree(made, tmp_path / name, symlinks=True))
        if words[0] in ("evaluate", "train"):  # else all is in the cache of earlier runs
            shutil.rmtree(folder / ".work", ignore_errors=True)
        monkeypatch.chdir(folder)
        return folder

    folder = fresh("whole")
    before = contents(folder)
    with failing(folder, at=0) as writes:
        assert cli.main(words) == 0, capsys.readouterr().err
    whole, steps = contents(folder), writes.count
    assert steps > 0
    points = list(range(1, steps + 1))
    if not ALL:
        points = sorted({points[i * (steps - 1) // (TRIED - 1)] for i in range(TRIED)})
    capsys.readouterr()
    for point in points:
        folder = fresh(f"at-{point}")
        with failing(folder, at=point, number=number, lasting=number == errno.ENOSPC):
            status = cli.main(words)
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert "unexpected error" not in said, said
        if status:
            assert status == 1
            assert "laureate: " in said
        for name, data in contents(folder).items():
            assert not name.endswith(".part"), (point, name)
            assert data in (before.get(name), whole.get(name)), (point, name)
        if status == 0:  # a step that does not matter, such as a folder that is there already
            assert contents(folder) == whole, point
        else:
            assert before.keys() <= contents(folder).keys(), point
        assert cli.main(words) == 0
        capsys.readouterr()
        assert contents(folder) == whole, point
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f"{words[0]}: {len(points)} of {steps} points", file=sys.stderr)


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
