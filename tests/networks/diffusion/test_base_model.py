"""A base folder is found good, or refused with one sentence that says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import small_base

from laureate.core.errors import LaureateError
from laureate.networks.diffusion import base_model, encoding
from laureate.torch_utils import safetensors_io


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_base.write(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(shipped: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copytree(shipped, tmp_path / "base"))


def edit(path: Path, **values: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_good_base(shipped: Path) -> None:
    found = base_model.find(shipped)
    assert found.prediction == "v_prediction"
    assert found.downscale == small_base.DOWNSCALE
    assert len(found.fingerprint) == 64
    embedded = encoding.embed(found.tokenizer(), found.text_encoder(), ["A man.", "", "A man."], batch=2)
    assert embedded.shape == (3, 77, 24)
    assert not embedded.requires_grad
    for model in (found.unet(), found.vae(), found.text_encoder()):
        assert not model.training
        assert not any(weight.requires_grad for weight in model.parameters())
    assert encoding.count_cut(found.tokenizer(), ["short", "long " * 80]) == 1


def test_a_missing_prediction_type_means_epsilon(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    del config["prediction_type"]
    path.write_text(json.dumps(config))
    assert base_model.find(folder).prediction == "epsilon"


def test_the_fingerprint_is_that_of_the_files_a_base_is_loaded_from(folder: Path) -> None:
    before = base_model.find(folder).fingerprint
    (folder / "README.md").write_text("a card")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_text("an older form, never loaded")
    assert base_model.find(folder).fingerprint == before
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = base_model.find(folder).fingerprint
    assert changed != before
    edit(folder / "scheduler" / "scheduler_config.json", steps_offset=0)
    assert base_model.find(folder).fingerprint not in (before, changed)


def cut_short(folder: Path) -> None:
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def only_pickles(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "pytorch_model.bin")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, r"there is no base model at .*; see base\.path"),
    (lambda f: (f / "model_index.json").unlink(), r"the base lacks .*model_index\.json"),
    (lambda f: (f / "model_index.json").write_text("{"), r"model_index\.json cannot be read as JSON"),
    (lambda f: (f / "model_index.json").write_text("[]"), r"model_index\.json must hold a JSON object"),
    (
        lambda f: edit(f / "model_index.json", _class_name="FluxPipeline"),
        "describes FluxPipeline; a base must be",
    ),
    (lambda f: shutil.rmtree(f / "tokenizer"), "has no tokenizer folder"),
    (lambda f: shutil.rmtree(f / "unet"), r"the base lacks .*unet/config\.json"),
    (
        lambda f: (f / "text_encoder" / "model.safetensors").unlink(),
        r"lacks .*text_encoder/model\.safetensors",
    ),
    (only_pickles, r"pickled weights only \(pytorch_model\.bin\), not loaded here; convert them"),
    (cut_short, r"vae/diffusion_pytorch_model\.safetensors has \d+ bytes instead of \d+"),
    (
        lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 100),
        "is not a safetensors file",
    ),
    (
        lambda f: edit(f / "scheduler" / "scheduler_config.json", prediction_type="sample"),
        "prediction_type 'sample' is not supported; it must be one of epsilon, v_prediction",
    ),
    (
        lambda f: edit(f / "unet" / "config.json", in_channels=9),
        r"unet\.in_channels is 9, vae\.latent_channels is 4",
    ),
    (
        lambda f: edit(f / "text_encoder" / "config.json", hidden_size=32),
        r"unet\.cross_attention_dim is 24, text_encoder\.hidden_size is 32",
    ),
]


@pytest.mark.parametrize(("damage", "sentence"), BROKEN)
def test_a_broken_base_is_refused(folder: Path, damage: Callable[[Path], object], sentence: str) -> None:
    damage(folder)
    with pytest.raises(LaureateError, match=sentence):
        base_model.find(folder)


def test_weights_of_another_shape_are_refused_when_loaded(folder: Path) -> None:
    edit(folder / "unet" / "config.json", block_out_channels=[16, 64])
    with pytest.raises(LaureateError, match="unet cannot be loaded as UNet2DConditionModel"):
        base_model.find(folder).unet()


def test_tensor_files_have_the_same_bytes_and_come_back(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = {
        "b": torch.randn(3, 5),
        "a": torch.arange(4),
        "half": torch.randn(2, 2).bfloat16(),
        "none": torch.zeros(0, 3),
        "one": torch.tensor(2.5),
        "turned": torch.randn(4, 3).T,
    }
    safetensors_io.save(tmp_path / "x", values, {"z": "1", "a": "ü"})
    safetensors_io.save(tmp_path / "y", dict(reversed(values.items())), {"a": "ü", "z": "1"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    loaded = safetensors_io.load(tmp_path / "x")
    assert loaded.keys() == values.keys()
    for name, value in values.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
    assert safetensors_io.metadata(tmp_path / "x") == {"z": "1", "a": "ü"}
