"""config.json of an adapter: what training writes is read back, and a damaged file is an error."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from laureate.commands import export
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config

HASHES = {"base": "b" * 64, "dataset": "d" * 64, "encoded": "e" * 64, "code": "c" * 64}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    recipe = adapter_config.recipe(4, {"steps": 3, "text_encoder": []}, **HASHES)
    adapter_config.write(tmp_path, recipe, precision="float32", base_source="folder base")
    assert adapter_config.read(tmp_path) == recipe | {"precision": "float32", "base_source": "folder base"}


def test_the_train_stage_writes_it(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    config = adapter_config.read(paths.adapter_folder(2))
    base = base_model.find("base")
    assert (config["rank"], config["base"], config["precision"]) == (2, base.fingerprint, "float32")
    assert config["train"]["steps"] == params.load().train.steps
    assert config["train"]["text_encoder"] == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is missing or damaged; run `laureate train` again"),
        ("{", "is missing or damaged"),
        ("3", "is missing or damaged"),
        (json.dumps({"rank": 2, "alpha": 2.0}), "has no 'train'; run `laureate train` again"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / paths.ADAPTER_CONFIG).write_text(content)
    with pytest.raises(LaureateError, match=says):
        adapter_config.read(tmp_path)
    with pytest.raises(LaureateError, match=says):
        export.origin(SimpleNamespace(folder=tmp_path), None)  # type: ignore[arg-type]
