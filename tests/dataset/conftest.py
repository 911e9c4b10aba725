"""A folder of a user's pictures, and the stage prepare run on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from user_pictures import Rows, picture

from laureate.config.params import Params, Prepare, Sample
from laureate.formats import imagefolder
from laureate.stages import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six sound pictures without captions."""
    home = tmp_path / "mine"
    home.mkdir()
    for number in range(6):
        picture(number).save(home / f"p0{number}.jpg")
    return home


@pytest.fixture(scope="module")
def wanted(tiny_models: Path, root: Path) -> Callable[..., Params]:
    """Parameters with the random CLIP; keywords change the section `prepare`."""
    given: dict[str, Any] = {
        **{"resolution": 16, "holdout": 0.4, "min_train": 1, "min_holdout": 0, "near": 0.02},
        **{"clip": str(tiny_models / "clip"), "vocabulary": str(root / "data/vocabulary.yaml")},
        "captions": str(root / "data/captions.yaml"),
    }
    prompts = Sample(prompts=[str(root / "data/prompts.yaml")])
    return lambda **changed: Params(prepare=Prepare.model_construct(**(
        Prepare().model_dump() | given | changed)), sample=prompts)  # fmt: skip


@pytest.fixture
def prepared(folder: Path, wanted: Callable[..., Params], tmp_path: Path) -> Callable[..., Rows]:
    """Runs the stage on the folder; gives the rows of both parts by file name."""

    def run(**changed: Any) -> Rows:
        out = tmp_path / "dataset"
        prepare.run(wanted(source=str(folder), **changed), out=out)
        rows: list[dict[str, Any]] = []
        for part in imagefolder.PARTS:
            table = out / part / "metadata.jsonl"
            lines = table.read_text("utf-8").split("\n") if table.exists() else []
            rows += [json.loads(line) for line in lines if line]
            if lines and any(lines):
                imagefolder.read_metadata(out / part)
        return {row["file_name"]: row for row in rows}

    return run
