"""Adapter files: diffusers loads what we save, the same bytes every time, damaged files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_base
from stacks import TARGETS, randomise

torch = pytest.importorskip("torch")

from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import adapter_files, injection  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> base_model.Base:
    """A small base."""
    return base_model.find(small_base.write(tmp_path_factory.mktemp("base")))


@pytest.mark.parametrize("alpha", [4.0, 1.0, 6.5])
def test_diffusers_loads_what_we_save(found: base_model.Base, tmp_path: Path, alpha: float) -> None:
    from diffusers import StableDiffusionPipeline

    adapter = Adapter(4, alpha)
    unet = found.unet()
    layers = injection.attach(unet, [adapter], TARGETS, seed=0)
    randomise(layers, [adapter])
    state = adapter_files.export(layers, 0)
    adapter_files.save(tmp_path, state, adapter, list(layers))
    pipeline = StableDiffusionPipeline.from_pretrained(found.folder)
    pipeline.load_lora_weights(tmp_path)
    merged = found.unet()
    adapter_files.merge(merged, *adapter_files.load(tmp_path))
    x, t, text = small_base.inputs(2)
    with torch.no_grad():
        ours = unet(x, t, encoder_hidden_states=text).sample
        theirs = pipeline.unet(x, t, encoder_hidden_states=text).sample
        folded = merged(x, t, encoder_hidden_states=text).sample
        plain = found.unet()(x, t, encoder_hidden_states=text).sample
    assert (ours - plain).abs().max() > 0.05, "the adapter should do something"
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0)
    torch.testing.assert_close(folded, ours, atol=1e-4, rtol=0)


def test_saving_gives_the_same_bytes_and_loading_the_same_tensors(
    found: base_model.Base, tmp_path: Path
) -> None:
    adapter = Adapter(4, 4)
    layers = injection.attach(found.unet(), [adapter], TARGETS, seed=0)
    state = adapter_files.export(layers, 0)
    for name in "ab":
        adapter_files.save(tmp_path / name, state, adapter, list(layers))
    a, b = (tmp_path / name / paths.ADAPTER_WEIGHTS for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    loaded, shape = adapter_files.load(tmp_path / "a")
    assert shape == adapter
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_damaged_and_foreign_files_are_refused(found: base_model.Base, tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match="there is no file"):
        adapter_files.load(tmp_path)
    (tmp_path / paths.ADAPTER_WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(LaureateError, match="not a safetensors file"):
        adapter_files.load(tmp_path)
    safetensors_io.save(tmp_path / paths.ADAPTER_WEIGHTS, {"other": torch.ones(2, 2)}, {})
    with pytest.raises(LaureateError, match="does not hold one LoRA"):
        adapter_files.load(tmp_path)
    state = {
        "unet.mid_block.nowhere.lora_A.weight": torch.ones(2, 4),
        "unet.mid_block.nowhere.lora_B.weight": torch.ones(4, 2),
    }
    with pytest.raises(LaureateError, match=r"does not fit the base: layer mid_block\.nowhere"):
        adapter_files.merge(found.unet(), state, Adapter(2, 2))
