"""Prompts are shared out over training seeds, for every rank alike; what a failed seed leaves goes round."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.core.files import sha256_file, write_json  # noqa: E402
from laureate.formats import samples  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.sampling import seed_shares  # noqa: E402
from laureate.stages import sample, train  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEEDS = st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True)


@given(st.integers(0, 60), SEEDS, st.data())
def test_prompts_are_shared_evenly_and_a_failure_moves_only_its_own(
    count: int, seeds: list[int], data: st.DataObject
) -> None:
    whole = seed_shares.share_out(count, seeds)
    assert len(whole) == count
    counts = Counter(whole)
    assert max(whole.count(seed) for seed in seeds) - min(whole.count(seed) for seed in seeds) <= 1
    assert set(counts) <= set(seeds)
    failed = data.draw(st.sets(st.sampled_from(seeds), max_size=len(seeds) - 1))
    shares = seed_shares.share_out(count, seeds, failed)
    assert not failed & set(shares)
    assert all(new == old for new, old in zip(shares, whole, strict=True) if old not in failed)
    left = [shares.count(seed) for seed in seeds if seed not in failed]
    assert max(left) - min(left) <= 1 + 1, "at most one more of its own, and one more of what was left over"


def test_no_seed_left_is_an_error() -> None:
    with pytest.raises(LaureateError, match="no training seed is left to draw with"):
        seed_shares.share_out(3, [1, 2], {1, 2})


@pytest.fixture(scope="module")
def seeded(encoded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with rank 2 trained with three seeds, long enough for its pictures to differ."""
    folder = tmp_path_factory.mktemp("seeded")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["train"] |= {"seeds": [42, 43, 44], "learning_rate": 0.2, "steps": 4, "pack": False}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    asked = yaml.safe_load((folder / "data/prompts.yaml").read_text())
    asked += [asked[0] | {"id": name, "text": f"A {name}."} for name in ("child", "bird")]
    (folder / "data/prompts.yaml").write_text(yaml.safe_dump(asked))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(params.load(), 2)
    return folder


@pytest.fixture
def study(seeded: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(seeded)
    return params.load()


def changed(study: params.Params, **values: Any) -> params.Params:
    """The study with other values in its sample section."""
    return study.model_copy(update={"sample": study.sample.model_copy(update=values)})


def drawn(model: str) -> dict[str, Any]:
    """File name => pixels."""
    files = sorted((paths.SAMPLES / model).glob("*.png"))
    return {file.name: np.asarray(Image.open(file).convert("RGB")).astype(int) for file in files}


def test_each_prompt_is_drawn_by_the_adapter_of_its_seed(study: params.Params) -> None:
    sample.run(study, "rank-2")
    manifest = samples.read("rank-2")
    assert [row["prompt"] for row in manifest.pictures[::2]] == ["man", "woman", "child", "bird"]
    assert [row["training"] for row in manifest.pictures[::2]] == [42, 43, 44, 42]
    assert manifest.adapters == {
        str(seed): sha256_file(folder / paths.ADAPTER_WEIGHTS)
        for seed, folder in seed_shares.folders_of_seeds(study.train, 2).items()
    }
    assert manifest.adapter == manifest.adapters["42"]
    shared = drawn("rank-2")
    single = study.model_copy(update={"train": study.train.model_copy(update={"seeds": [42]})})
    for seed, folder in seed_shares.folders_of_seeds(study.train, 2).items():
        if seed != 42:
            for file in (paths.ADAPTER_WEIGHTS, paths.ADAPTER_CONFIG):
                shutil.copy(folder / file, paths.adapter_folder(2) / file)
        sample.run(single, "rank-2")
        alone = drawn("rank-2")
        for row in manifest.pictures:
            apart = abs(alone[row["file"]] - shared[row["file"]]).max()
            assert (apart <= 2) == (row["training"] == seed), (row, apart)


def test_the_base_has_no_training_seed(study: params.Params) -> None:
    sample.run(study, "baseline")
    manifest = samples.read("baseline")
    assert not any("training" in row for row in manifest.pictures)
    assert (manifest.adapter, manifest.adapters) == (None, {})


def test_a_failed_seed_is_named_and_the_others_draw_its_prompts(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = paths.adapter_folder(2) / "arms/seed-43"
    config = json.loads((folder / "config.json").read_text())
    write_json(
        folder / "config.json", config | {"failed": {"step": 3, "reason": "the loss is nan at step 3"}}
    )
    (folder / paths.ADAPTER_WEIGHTS).unlink()
    sample.run(study, "rank-2")
    assert "rank-2: training seed 43 has failed (the loss is nan at step 3)" in capsys.readouterr().err
    assert [row["training"] for row in samples.read("rank-2").pictures[::2]] == [42, 42, 44, 42]


def test_a_missing_arm_is_named(study: params.Params) -> None:
    shutil.rmtree(paths.adapter_folder(2) / "arms/seed-44")
    with pytest.raises(LaureateError, match=r"arms/seed-44/config\.json is missing .* run `laureate train`"):
        sample.run(study, "rank-2")


def test_strength_goes_from_the_base_to_more_than_the_adapter(study: params.Params) -> None:
    """0 draws the base's pictures; between, every weight is that share of the way from base to adapter."""
    sample.run(study, "baseline")
    sample.run(changed(study, strength=0.0), "rank-2")
    base = drawn("baseline")
    for name, pixels in drawn("rank-2").items():
        assert abs(pixels - base[name]).max() <= 1
    for strength in (0.5, 1.5):
        sample.run(changed(study, strength=strength), "rank-2")
        assert samples.read("rank-2").settings["strength"] == strength
        assert any(abs(pixels - base[name]).max() > 2 for name, pixels in drawn("rank-2").items())


def test_strength_scales_the_update_of_every_layer(study: params.Params) -> None:
    from laureate.networks.diffusion import base_model

    found, folder = base_model.find("base"), paths.adapter_folder(2)
    weights = {}
    for strength in (0.0, 0.5, 1.0):
        unet = found.unet()
        adapter_files.merge(unet, *adapter_files.load(folder, strength))
        weights[strength] = {name: weight for name, weight in unet.named_parameters() if ".to_q." in name}
    for name, half in weights[0.5].items():
        none, whole = weights[0.0][name], weights[1.0][name]
        torch.testing.assert_close(half, (none + whole) / 2, rtol=1e-4, atol=1e-6)
        assert not torch.equal(none, whole)
