"""laureate app: how it starts, and what keeps it from starting."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from laureate import cli
from laureate.app import cache
from laureate.commands import serve


@pytest.fixture
def folder(trained: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(trained)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 is not loopback, so others could draw: give a --token"),
        (["--host", "0.0.0.0", "--token", "short"], "--token is too weak"),
        (["--token", "with a space in it"], "--token is too weak"),
        (["--token", "naïve-token"], "--token is too weak"),
        (["--host", "no.such.host.invalid"], "is not available"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(
    folder: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["app", "--port", "0", *words]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_port_in_use_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve.listen("127.0.0.1", 0, has_key=False) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["app", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port} is not available" in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["app", "--port", "0"]) == 1
    assert "pip install 'laureate[app]'" in capsys.readouterr().err


def test_uploaded_files_do_not_outlive_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a killed process are deleted by the next; those of one that runs stay."""
    monkeypatch.chdir(tmp_path)
    left, running = cache.CACHE / "999999999", cache.CACHE / str(os.getppid())
    for each in (left, running):
        each.mkdir(parents=True)
        (each / "photo.png").write_bytes(b"photo")
    with cache.opened():
        assert cache.own_folder().stat().st_mode & 0o077 == 0
        (cache.own_folder() / "mine.png").write_bytes(b"photo")
        assert not left.exists()
    assert not cache.own_folder().exists()
    assert (running / "photo.png").exists()
