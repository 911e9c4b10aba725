"""laureate draw: pictures of several models from one noise, which say how they were made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laureate import cli
from laureate.config import params
from laureate.imaging import png
from laureate.sampling import generator

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def study(trained: Path, working_copy: Callable[[Path], Path]) -> Path:
    """The small study, with the adapter of rank 2 and a further one in its folder."""
    folder = working_copy(trained)
    inner = folder / "models/lora/rank-2/step-7"
    inner.mkdir()
    for name in ("pytorch_lora_weights.safetensors", "config.json"):
        shutil.copy(folder / "models/lora/rank-2" / name, inner / name)
    return folder


def test_every_model_draws_from_the_same_noise(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["draw", "A hat.", "--model", "baseline", "--model", "rank-2", "--seed", "7", "--n", "2"]
    assert cli.main(call) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(files) == 4
    records = [png.record_of(file.read_bytes()) for file in files]
    assert [(r["adapter"]["name"], r["seed"]) for r in records if r] == [
        ("baseline", 7), ("baseline", 8), ("rank-2", 7), ("rank-2", 8),
    ]  # fmt: skip
    assert len({Image.open(file).tobytes() for file in files}) == 4


def test_strength_goes_from_the_base_to_the_adapter_and_beyond(study: Path) -> None:
    """At 0 the picture is the base's; the further, the more it differs from it."""
    loaded = generator.Generator(params.load())

    def drawn(model: str, strength: float) -> np.ndarray:
        settings = loaded.settings(strength=strength, steps=4)
        return np.asarray(loaded.draw(model, "A hat.", [1], (32, 32), settings)[0], dtype=float)

    base = drawn("baseline", 1)
    away = [float(np.abs(drawn("rank-2", strength) - base).mean()) for strength in (0, 0.5, 1, 2)]
    assert away[0] == 0
    assert away == sorted(away)
    assert away[-1] > away[1]


def test_what_is_further_in_an_adapters_folder_can_be_drawn_with(study: Path) -> None:
    loaded = generator.Generator(params.load())
    assert loaded.variants("rank-2") == ["rank-2", "rank-2/step-7"]
    one, other = (loaded.draw(m, "A hat.", [1], (32, 32))[0] for m in ("rank-2", "rank-2/step-7"))
    assert one.tobytes() == other.tobytes()


def test_a_step_hook_sees_every_step_and_can_end_the_drawing(study: Path) -> None:
    loaded, seen = generator.Generator(params.load()), []
    settings = loaded.settings(steps=5)
    loaded.draw("baseline", "A hat.", [1], (32, 32), settings, lambda: seen.append(1))
    assert len(seen) == 5

    def refuse() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        loaded.draw("baseline", "A hat.", [1], (32, 32), settings, refuse)
    loaded.draw("baseline", "A hat.", [1], (32, 32), settings)  # the lock was given back


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["  "], "the prompt is empty"),
        (["x", "--n", "0"], "--n is 0"),
        (["x", "--seed", "-1"], "--seed is -1"),
        (["x", "--strength", "3"], "strength is 3: it must be from 0 to 2"),
        (["x", "--strength", "nan"], "strength is nan"),
        (["x", "--guidance", "0"], "guidance is 0"),
        (["x", "--steps", "0"], "steps is 0"),
        (["x", "--model", "rank-4"], "there is no model 'rank-4'; choose one of baseline, rank-2"),
        (["x", "--model", "../lora"], "there is no model '../lora'"),
        (["x", "--model", "rank-2/.."], "there is no model"),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_nothing(
    study: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["draw", *words]) != 0
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not Path("drawings").exists()


def test_a_picture_that_is_there_is_not_overwritten(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["draw", "A hat."]) == 0
    (file,) = Path("drawings").iterdir()
    before = file.read_bytes()
    assert cli.main(["draw", "A hat."]) == 1
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == before
