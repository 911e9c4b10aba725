"""Paths: experiments of DVC's queue share the work folder of the project that they are copies of."""

from pathlib import Path

import pytest

from laureate.core.paths import WORK, shared


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (".", WORK / "train"),
        ("sub", WORK / "train"),
        (".dvc/tmp", WORK / "train"),
        (".dvc/tmp/exps/tmp1a2b", "project"),
        (".dvc/tmp/exps/standalone/tmp1a2b", "project"),
    ],
)
def test_only_a_copy_of_the_queue_works_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, expected: Path | str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    found = shared(WORK / "train")
    assert found == (tmp_path / WORK / "train" if expected == "project" else expected)
