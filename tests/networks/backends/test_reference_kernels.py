"""`kernels: reference` runs diffusers' own blocks and attention, and agrees with `auto` to rounding."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trained import changed, curve, forget

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.networks.backends import placement  # noqa: E402
from laureate.networks.diffusion import base_model, noise_schedule  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.stages import sample, train  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402
from laureate.training import objective, trainer  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CPU = torch.device("cpu")
OURS = "laureate.networks.backends"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reference_is_what_diffusers_made(study: params.Params, dtype: Any) -> None:
    base = base_model.find("base")
    made = base.unet()
    placed = placement.place_unet(base.unet(), CPU, dtype, "reference")
    assert [(name, type(module)) for name, module in placed.named_modules()] == [
        (name, type(module)) for name, module in made.named_modules()
    ]
    processors = [type(processor) for processor in placed.attn_processors.values()]
    assert processors == [type(processor) for processor in made.attn_processors.values()]
    ours = placement.place_unet(base.unet(), CPU, dtype)
    assert any(type(module).__module__.startswith(OURS) for module in ours.modules())
    assert {type(processor).__module__ for processor in ours.attn_processors.values()} == {
        f"{OURS}.cpu_attention"
    }


def test_outputs_and_gradients_agree(study: params.Params) -> None:
    """Of a whole step of packed ranks, in float32: losses, and the gradient of every adapter and layer."""
    base, data = base_model.find("base"), safetensors_io.load(paths.ENCODED)
    results = {}
    for kernels in ("auto", "reference"):
        section = changed(study, kernels=kernels).train
        unet = placement.place_unet(base.unet(), CPU, torch.float32, kernels)
        schedule = noise_schedule.from_config(base.scheduler)
        asked = objective.Objective(unet, schedule, section, data["empty.text"], base.scaling_factor)
        made = trainer.Trainer(asked, [trainer.adapter(section, rank) for rank in (2, 4)])
        assert bool(made.flat.groups) == (kernels == "auto"), "multiplied out"
        with torch.no_grad():
            for layer in made.layers.values():
                for index in range(2):
                    own = layer.own("b", index)
                    own.copy_(0.1 * torch.randn(own.shape, generator=torch.Generator().manual_seed(index)))
        examples = objective.Examples(data["train.mean"], data["train.logvar"], data["train.text"])
        losses = made.backward(examples, asked.numbers(examples, 0))
        results[kernels] = (
            losses,
            {
                (name, part, index): layer.gradient(part, index).clone()
                for name, layer in made.layers.items()
                for part in "ab"
                for index in range(2)
            },
        )
    (ours, our_gradients), (theirs, their_gradients) = results["auto"], results["reference"]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert len(our_gradients) > 40
    for key, gradient in their_gradients.items():
        assert gradient.any(), key
        assert (our_gradients[key] - gradient).norm() <= 1e-4 * gradient.norm(), key


def test_training_and_pictures_agree(study: params.Params) -> None:
    """The stages from end to end: adapters, curves, records and pictures."""
    study = changed(study, steps=6, holdout_every=3)
    adapters, rows, pictures = [], [], []
    for kernels in ("auto", "reference"):
        section = study.sample.model_copy(update={"kernels": kernels})
        here = changed(study, kernels=kernels).model_copy(update={"sample": section})
        for rank in (2, 4):
            train.run(here, rank)
        adapters.append([adapter_files.load(paths.adapter_folder(rank))[0] for rank in (2, 4)])
        rows.append([float(row["holdout_loss"]) for row in curve(4)])
        sample.run(here, model="rank-4")
        folder = paths.SAMPLES / "rank-4"
        pictures.append([np.array(Image.open(path), int) for path in sorted(folder.glob("*.png"))])
        config = json.loads((paths.adapter_folder(4) / paths.ADAPTER_CONFIG).read_text())
        manifest = json.loads((folder / "manifest.json").read_text())
        expected = None if kernels == "auto" else kernels  # the default leaves no trace: same bytes as ever
        assert config["train"].get("kernels") == manifest["settings"].get("kernels") == expected
    assert len(list((train.CACHE / "results").iterdir())) == 4, "another key each: trained anew"
    for ours, theirs in zip(*adapters, strict=True):
        for name, tensor in theirs.items():
            assert (ours[name] - tensor).norm() <= 1e-4 * tensor.norm(), name
        assert any(not torch.equal(ours[name], tensor) for name, tensor in theirs.items()), "other kernels"
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)
    for mine, other in zip(*pictures, strict=True):
        assert np.abs(mine - other).max() <= 1
    forget()


def test_the_text_encoder_keeps_the_attention_it_was_loaded_with(study: params.Params) -> None:
    base = base_model.find("base")
    attention = base.text_encoder().config._attn_implementation
    kept = placement.place_text(base.text_encoder(), CPU, torch.bfloat16, "reference")
    assert kept.config._attn_implementation == attention == "sdpa"
    assert (
        placement.place_text(base.text_encoder(), CPU, torch.bfloat16).config._attn_implementation == "eager"
    )


def test_the_small_base_has_layers_of_both_kinds(study: params.Params) -> None:
    """Or the comparison above would compare nothing."""
    unet = base_model.find("base").unet()
    names = {type(module).__name__ for module in unet.modules()}
    assert names >= {"GEGLU", "ResnetBlock2D", "BasicTransformerBlock", "Attention"}
