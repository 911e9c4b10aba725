"""A folder of a user's pictures, and the stage prepare run on it."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from user_pictures import Rows, picture

from laureate.config.params import Params, Prepare, Sample
from laureate.evaluation.judges import loading
from laureate.evaluation.judges.batching import Features
from laureate.evaluation.judges.clip import ClipJudge
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


@pytest.fixture(scope="module")
def one_clip(tiny_models: Path) -> Iterator[None]:
    """The random CLIP is loaded once, and reads the sentences of a vocabulary once."""
    clip = ClipJudge.load(tiny_models / "clip", loading.CAPTIONING_BATCH)
    texts, known = clip.texts, {}

    def read(sentences: Sequence[str]) -> Features:
        key = tuple(sentences)
        if key not in known:
            known[key] = texts(sentences)
        return known[key].copy()

    def load(folder: str) -> ClipJudge:
        return clip if folder == str(tiny_models / "clip") else load_other(folder)

    load_other = loading.load_captioning_clip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "texts", read)
        patch.setattr(loading, "load_captioning_clip", load)
        yield


@pytest.fixture
def prepared(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path, one_clip: None
) -> Callable[..., Rows]:
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
