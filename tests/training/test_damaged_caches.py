"""Caches that are cut off at any byte, or whose times are of the future, change no result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trained import outputs

from laureate.config import params
from laureate.core import paths
from laureate.evaluation.judges import cached_judges
from laureate.stages import train
from laureate.training.checkpoints import Checkpoints
from laureate.training.result_cache import Results

FUTURE = 4_102_444_800  # the year 2100, in seconds: what a clock that was set back makes of today


@pytest.fixture
def study(trained: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """A copy of the study that has trained rank 2, with its work folder."""
    working_copy(trained)
    return params.load()


def cuts(size: int, count: int = 40) -> list[int]:
    """Lengths to cut a file of `size` bytes to: none, one, all but one, and others between."""
    return sorted({0, 1, 7, 8, 9, size - 1, *np.linspace(0, size - 1, count, dtype=int).tolist()} - {size})


def test_a_result_that_is_cut_at_any_byte_is_missing(study: params.Params) -> None:
    results = Results(train.CACHE / "results")
    keys = [folder.name for folder in results.folder.iterdir()]
    assert keys
    for key in keys:
        assert results.find(key)
        for file in sorted((results.folder / key).iterdir()):
            whole = file.read_bytes()
            for cut in cuts(len(whole.rstrip(b"\n"))):  # a JSON file without its last line end is whole
                file.write_bytes(whole[:cut])
                assert results.find(key) is None, (file, cut)
            file.write_bytes(whole)
        assert results.find(key)


def test_a_result_that_was_cut_is_trained_again_to_the_same_bytes(study: params.Params) -> None:
    before = outputs(2)
    for file in train.CACHE.glob("results/*/*.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    shutil.rmtree(paths.ADAPTERS)
    train.run(study, 2)
    assert outputs(2) == before


def test_a_checkpoint_that_is_cut_at_any_byte_is_missing(tmp_path: Path) -> None:
    import torch

    kept = Checkpoints(tmp_path)
    kept.write({"2": "key"}, {"steps": 4}, {"weight": torch.arange(50.0)})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    assert kept.find()
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        assert kept.find() is None, cut


def test_a_judges_output_that_is_cut_at_any_byte_is_computed_again(tmp_path: Path) -> None:
    file, output = tmp_path / "x.safetensors", {"features": np.arange(60.0).reshape(20, 3)}
    cached_judges._write(file, output)
    whole = file.read_bytes()
    found = cached_judges._read(file)
    assert found is not None
    assert np.array_equal(found["features"], output["features"])
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        assert cached_judges._read(file) is None, cut


def test_a_clock_that_was_set_back_changes_nothing(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything in the work folder and every output is then of the future."""
    before = outputs(2)
    for path in Path().rglob("*"):
        os.utime(path, (FUTURE, FUTURE))
    shutil.rmtree(paths.ADAPTERS)
    monkeypatch.setattr("laureate.training.trainer.Trainer.step", None)  # nothing may be trained
    train.run(study, 2)
    assert outputs(2) == before
    newest = Results(train.CACHE / "results")
    (key,) = [folder.name for folder in newest.folder.iterdir() if newest.find(folder.name)][:1]
    newest.keep_recent([key], count=0)
    assert newest.find(key)


def test_half_written_outputs_of_other_judges_are_left_alone_for_a_day(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{name}.safetensors.{name}.part" for name in ("1", "2"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cached_judges._write(tmp_path / "x.safetensors", {"features": np.zeros(3)})
    assert not old.exists()
    assert new.exists()
