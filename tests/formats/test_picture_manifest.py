"""Manifests of pictures: links as DVC's cache makes them are followed, names that lead out are refused."""

import json
import subprocess
from pathlib import Path

import pytest

from laureate.core.errors import LaureateError
from laureate.formats.picture_manifest import checked_rows, read_object

KEYS = {"file": str, "prompt": str, "seed": int}


def manifest(folder: Path, file: str, encoding: str = "utf-8") -> Path:
    """A manifest of one picture."""
    folder.mkdir(exist_ok=True)
    text = json.dumps({"pictures": [{"file": file, "prompt": "p", "seed": 1}]})
    (folder / "manifest.json").write_bytes(text.encode(encoding))
    return folder / "manifest.json"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_picture_that_is_a_link_into_the_cache_is_there(tmp_path: Path, encoding: str) -> None:
    cache = tmp_path / "cache"
    cache.write_bytes(b"picture")
    path = manifest(tmp_path / "model", "a.png", encoding)
    (tmp_path / "model/a.png").symlink_to(cache)
    rows = list(checked_rows(path, read_object(path, "make it")["pictures"], KEYS))
    assert rows[0][1]["file"] == "a.png"


@pytest.mark.parametrize(
    "file", ["../cache", "/etc/passwd", "a\0.png", "C:\\a.png", "..\\cache", "b.png", "."]
)
def test_a_picture_out_of_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / "cache").write_bytes(b"picture")
    path = manifest(tmp_path / "model", file)
    with pytest.raises(LaureateError, match="there is no file"):
        list(checked_rows(path, read_object(path, "make it")["pictures"], KEYS))


def test_system_files_make_no_stage_stale(root: Path) -> None:
    names = [".DS_Store", "Thumbs.db", "desktop.ini", "._a.png", "@eaDir/a.png"]
    places = ["data/raw", "data/dataset/train", "data/external/model"]
    paths = [f"{place}/{name}" for place in places for name in names]
    command = ["dvc", "check-ignore", *paths]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert told.stdout.split() == paths, told.stderr
