"""Parameters that the embedded world does not use: epochs, size of the samples, share of blank pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import small_base
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.stages import encode, sample, train

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run stages in."""
    return small_base.study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(made)
    return params.load()


def changed(study: params.Params, section: str, **values: object) -> params.Params:
    """The parameters with other values in one section."""
    return study.model_copy(update={section: getattr(study, section).model_copy(update=values)})


@given(st.integers(1, 100), st.integers(1, 500), st.integers(1, 64))
def test_every_picture_is_seen_so_often(epochs: int, pictures: int, batch: int) -> None:
    steps = params.Train(epochs=epochs, batch=batch).steps_for(pictures)
    assert epochs * pictures <= steps * batch < epochs * pictures + batch
    assert params.Train(steps=7).steps_for(pictures) == 7


def test_epochs_are_counted_in_the_encoded_pictures(study: params.Params) -> None:
    encode.run(study)
    asked = changed(study, "train", epochs=3, batch=4, holdout_every=3)
    train.run(asked, 2)  # 10 pictures
    config = json.loads((paths.ADAPTERS / "rank-2" / "config.json").read_text())
    assert config["train"]["steps"] == 8
    assert config["base_source"] == "folder base"
    assert (paths.CURVES / "rank-2.csv").read_text().splitlines()[-1].startswith("8,")


def test_pictures_can_be_drawn_larger_than_they_were_trained(study: params.Params) -> None:
    sample.run(changed(study, "sample", resolution=48), "baseline")
    folder = paths.SAMPLES / "baseline"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["settings"]["resolution"] == 48
    assert manifest["base_source"] == "folder base"
    for row in manifest["pictures"]:
        with Image.open(folder / row["file"]) as picture:
            assert picture.size == (48, 48)
    assert study.drawn_at == small_base.RESOLUTION


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_blank_pictures_are_counted(
    study: params.Params, value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an overflow in half precision leaves them: latents that are no numbers are decoded to black."""
    import torch

    from laureate.sampling import sampler

    def overflown(
        unet: object,
        scheduler: object,
        text: torch.Tensor,
        *rest: object,
        finish: Callable[[torch.Tensor], object],
        **more: object,
    ) -> object:
        good = [0.5 * torch.randn(1, 4, 8, 8, generator=torch.manual_seed(row)) for row in range(len(text))]
        yield finish(torch.cat([torch.full_like(good[0], value), *good[1:]]))

    monkeypatch.setattr(sampler, "sample", overflown)
    if value == 0:  # a grey picture of a random VAE is not of one colour
        sample.run(study, "baseline")
        assert "of one colour" not in capsys.readouterr().err
        return
    with pytest.raises(LaureateError, match=r"1 of 4 pictures are of one colour \(the first is man_1\.png\)"):
        sample.run(study, "baseline")
    assert not (paths.SAMPLES / "baseline").exists()
    sample.run(changed(study, "sample", blank=0.25), "baseline")
    assert "1 of 4 pictures are of one colour" in capsys.readouterr().err
