"""A small base, and a hub on loopback that has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fake_hub
import pytest
import small_base
from base_sources import NAME
from fake_hub import Hub


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_base.write(tmp_path_factory.mktemp("made") / "base")


@pytest.fixture
def hub(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, which has more in it than a base; and an empty working folder."""
    from huggingface_hub import constants

    repository = Path(shutil.copytree(made, tmp_path / "served"))
    (repository / "README.md").write_text("a card")
    (repository / "v2-1_768.ckpt").write_bytes(b"pickled")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with fake_hub.serve(Hub({NAME: repository})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.address)
        yield server
