"""What systems leave in every folder changes no fingerprint, is copied nowhere and is no picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import small_base
from PIL import Image

from laureate.commands import fetch
from laureate.core.files import sha256_file
from laureate.core.system_files import files_in, has_system_part, is_system_file
from laureate.evaluation.judges.weights import JudgeFiles
from laureate.img2img import generator
from laureate.networks.diffusion import base_model
from laureate.training import result_cache

LEFT = (".DS_Store", "._config.json", "._vocab.json", "Thumbs.db", "desktop.ini", "~$config.json", "._a.png",
        "._a.safetensors")  # fmt: skip


def litter(folder: Path) -> None:
    """Leave system files in a folder and all below."""
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        for name in LEFT:
            (place / name).write_bytes(b"\0\5\26\7")


@pytest.mark.parametrize(
    "name", [*LEFT, "Icon\r", "@eaDir", "__MACOSX", ".ipynb_checkpoints", "$Recycle.bin"]
)
def test_names_of_system_files(name: str) -> None:
    assert is_system_file(name)
    assert has_system_part(Path("a") / name / "b.png")
    assert not is_system_file(f"a{name}")


def test_a_base_and_its_copy(tmp_path: Path) -> None:
    folder = small_base.write(tmp_path / "base")
    before = base_model.find(folder).fingerprint
    litter(folder)
    assert base_model.find(folder).fingerprint == before
    fetch._link(folder, tmp_path / "copy")
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.name in LEFT]
    assert base_model.find(tmp_path / "copy").fingerprint == before


def test_a_judge(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    judge = JudgeFiles(tmp_path, tmp_path / "model.safetensors", sha256_file(tmp_path / "model.safetensors"))
    before = judge.hashes
    assert set(before) == {"config.json", "model.safetensors"}
    litter(tmp_path)
    assert judge.hashes == before


def test_the_code_of_a_stage(tmp_path: Path, root: Path) -> None:
    package = Path(shutil.copytree(root / "src/laureate", tmp_path / "src/laureate"))
    shutil.copy(root / "dvc.yaml", tmp_path)
    before = result_cache.code_of_stage("train", package)
    litter(package)
    assert result_cache.code_of_stage("train", package) == before
    (package / "training" / "new.py").touch()
    assert result_cache.code_of_stage("train", package) != before


def test_the_paper_of_the_portraits(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (32, 32), (250, 240, 230)).save(tmp_path / "train/a.png")
    before = generator.paper_of(tmp_path)
    litter(tmp_path)
    assert generator.paper_of(tmp_path) == before


def test_they_are_in_no_list_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.json").write_text(json.dumps({}))
    litter(tmp_path)
    assert [path.name for path in files_in(tmp_path)] == ["b.json"]
