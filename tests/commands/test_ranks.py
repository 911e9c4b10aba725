"""`laureate ranks` gives its files their content back, however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from failing_writes import FAULTS, failing

from laureate.commands import ranks
from laureate.core.errors import LaureateError


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two files, and one that is not there."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).write_text("before")
    return [Path(name) for name in ("a", "b", "c")]


def change(files: list[Path]) -> None:
    for file in files:
        file.write_text("after")


def test_files_are_as_before(files: list[Path]) -> None:

    def fail() -> None:
        with ranks.unchanged(*files):
            change(files)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [file.read_text() for file in files[:2]] == ["before"] * 2
    assert not files[2].exists()


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EROFS", "EACCES"])
def test_one_that_cannot_be_restored_is_named_and_keeps_the_others_from_nothing(
    files: list[Path], tmp_path: Path, fault: str
) -> None:
    with failing(tmp_path, 0) as writes, ranks.unchanged(*files):
        change(files[:2])
    refused = 0
    for point in range(7, writes.count + 1):  # after the changes themselves
        change(files)
        for file in files[:2]:
            file.write_text("before")
        named = []
        try:
            with failing(tmp_path, point, FAULTS[fault]), ranks.unchanged(*files[:2]):
                change(files[:2])
        except LaureateError as error:
            assert "could not be restored" in str(error)  # noqa: PT017
            named = str(error).partition(" could")[0].split(", ")
            refused += 1
        for file in files[:2]:
            assert file.read_text() == ("after" if str(file) in named else "before")
        assert FAULTS[fault].lasting or len(named) <= 1  # 0: a folder that is there already
        assert not list(tmp_path.glob(".*"))
    assert refused >= 4
