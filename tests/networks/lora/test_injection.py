"""Our LoRA is PEFT's LoRA: same start, same outputs, same gradients, and diffusers loads what we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_base
from stacks import TARGETS, randomise

torch = pytest.importorskip("torch")

from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import adapter_files, injection  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.networks.lora.layers import LoraLinear  # noqa: E402


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> base_model.Base:
    """A small base."""
    return base_model.find(small_base.write(tmp_path_factory.mktemp("base")))


def peft_unet(found: base_model.Base, adapter: Adapter, layers: dict[str, LoraLinear], index: int) -> Any:
    """The same UNet with PEFT's layers, holding adapter `index` of a stack."""
    from peft import LoraConfig

    unet = found.unet()
    unet.add_adapter(LoraConfig(r=adapter.rank, lora_alpha=adapter.alpha, target_modules=TARGETS))
    with torch.no_grad():
        for name, layer in layers.items():
            theirs = unet.get_submodule(name)
            theirs.lora_A["default"].weight.copy_(layer.own("a", index).T)
            theirs.lora_B["default"].weight.copy_(layer.own("b", index).T)
    return unet


def test_an_attached_adapter_changes_nothing_before_training(found: base_model.Base) -> None:
    x, t, text = small_base.inputs(2)
    unet = found.unet()
    with torch.no_grad():
        before = unet(x, t, encoder_hidden_states=text).sample
        injection.attach(unet, [Adapter(4, 4)], TARGETS, seed=0)
        after = unet(x, t, encoder_hidden_states=text).sample
    assert torch.equal(before, after)


def test_only_the_adapter_is_trainable(found: base_model.Base) -> None:
    unet = found.unet()
    layers = injection.attach(unet, [Adapter(4, 4)], TARGETS, seed=0)
    trainable = [weight for weight in unet.parameters() if weight.requires_grad]
    assert len(trainable) == 2 * len(layers) == 2 * len(injection.find_targets(found.unet(), TARGETS))


@pytest.mark.parametrize(("rank", "alpha"), [(8, 8.0), (4, 2.5), (24, 24.0)])  # 24: wider than some layers
def test_outputs_and_gradients_equal_pefts(found: base_model.Base, rank: int, alpha: float) -> None:
    adapters = [Adapter(rank, alpha)]
    unet = found.unet()
    layers = injection.attach(unet, adapters, TARGETS, seed=0)
    randomise(layers, adapters)
    theirs = peft_unet(found, adapters[0], layers, 0)
    x, t, text = small_base.inputs(3)
    ours_out = unet(x, t, encoder_hidden_states=text).sample
    their_out = theirs(x, t, encoder_hidden_states=text).sample
    torch.testing.assert_close(ours_out, their_out, atol=1e-5, rtol=1e-5)
    ours_out.square().mean().backward()
    their_out.square().mean().backward()
    for name, layer in layers.items():
        module = theirs.get_submodule(name)
        for part, weight in (
            ("a", module.lora_A["default"].weight),
            ("b", module.lora_B["default"].weight),
        ):
            scale = weight.grad.abs().max()
            assert (layer.gradient(part, 0).T - weight.grad).abs().max() <= 1e-5 * scale + 1e-9, name


def test_a_stack_equals_its_adapters_alone_and_keeps_its_padding(found: base_model.Base) -> None:
    runs = [(0, 2, 2), (2, 4, 9)]
    adapters = [
        Adapter(2, 2),
        Adapter(1, 1),
        Adapter(9, 4),
        Adapter(7, 5),
    ]
    stacked = found.unet()
    layers = injection.attach(stacked, adapters, TARGETS, seed=0, runs=runs)
    randomise(layers, adapters)
    x, t, text = small_base.inputs(2)
    output = stacked(x.repeat(4, 1, 1, 1), t.repeat(4), encoder_hidden_states=text.repeat(4, 1, 1)).sample
    output.square().mean(dim=(1, 2, 3)).sum().backward()
    for index, adapter in enumerate(adapters):
        alone = found.unet()
        single = injection.attach(alone, [adapter], TARGETS, seed=0)
        with torch.no_grad():
            for name, layer in single.items():
                assert torch.equal(layer.own("a", 0), layers[name].own("a", index))
                layer.own("b", 0).copy_(layers[name].own("b", index))
        expected = alone(x, t, encoder_hidden_states=text).sample
        torch.testing.assert_close(output[2 * index : 2 * index + 2], expected, atol=1e-5, rtol=1e-5)
    for layer in layers.values():
        assert layer.runs == runs
        assert not layer.a[0].grad[1, :, 1:].any()
        assert not layer.b[0].grad[1, 1:].any()
        assert not layer.a[1].grad[1, :, 7:].any()
        assert not layer.b[1].grad[1, 7:].any()


def test_the_start_is_pefts_distribution_and_shared_between_ranks(found: base_model.Base) -> None:
    small = injection.attach(found.unet(), [Adapter(2, 2)], TARGETS, seed=3)
    large = injection.attach(found.unet(), [Adapter(16, 16)], TARGETS, seed=3)
    other = injection.attach(found.unet(), [Adapter(2, 2)], TARGETS, seed=4)
    for name, layer in large.items():
        bound = layer.base.in_features**-0.5
        start = layer.own("a", 0).detach()
        assert start.abs().max() <= bound
        assert float(start.std()) == pytest.approx(bound / 3**0.5, rel=0.2)
        assert not layer.own("b", 0).any()
        assert torch.equal(small[name].own("a", 0), start[:, :2])
        assert not torch.equal(small[name].own("a", 0), other[name].own("a", 0))


VARIANTS = {
    "random": {},
    "rslora": {"variant": "rslora"},
    "dora": {"variant": "dora"},
    "pissa": {"init": "pissa"},
    "rspissa": {"variant": "rslora", "init": "pissa"},
}
PEFT_OPTIONS: dict[str, dict[str, Any]] = {
    "random": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "rspissa": {"use_rslora": True, "init_lora_weights": "pissa"},
}
CONVOLUTIONS = ["to_q", "ff.net.2", "conv1", "conv_shortcut", "downsamplers.0.conv"]


@pytest.mark.parametrize(
    ("name", "targets"),
    [*((name, TARGETS) for name in VARIANTS), ("random", CONVOLUTIONS), ("rspissa", ["to_q", "to_out.0"])],
)
def test_every_variant_is_pefts(
    found: base_model.Base, tmp_path: Path, name: str, targets: list[str]
) -> None:
    """Start, output and gradients in a stack against PEFT alone; and what is written, read by diffusers."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig

    adapters = [Adapter(rank, alpha, **VARIANTS[name]) for rank, alpha in ((2, 2.0), (6, 4.0))]
    unet = found.unet()
    layers = injection.attach(unet, adapters, targets, seed=0)
    if "pissa" not in name:  # whose start is not at zero
        randomise(layers, adapters)
    x, t, text = small_base.inputs(2)
    output = unet(x.repeat(2, 1, 1, 1), t.repeat(2), encoder_hidden_states=text.repeat(2, 1, 1)).sample
    output.square().mean(dim=(1, 2, 3)).sum().backward()
    for index, adapter in enumerate(adapters):
        theirs = found.unet()
        theirs.add_adapter(
            LoraConfig(r=adapter.rank, lora_alpha=adapter.alpha, target_modules=targets, **PEFT_OPTIONS[name])
        )
        for layer_name, layer in layers.items():
            module = theirs.get_submodule(layer_name)
            a, b = (getattr(module, f"lora_{part}")["default"].weight for part in "AB")
            ours = layer.own("a", index).T, layer.own("b", index).T
            if "pissa" in name:
                torch.testing.assert_close(ours[0], a.flatten(1), atol=1e-4, rtol=1e-3)
            with torch.no_grad():
                a.copy_(ours[0].reshape(a.shape))
                b.copy_(ours[1].reshape(b.shape))
        expected = theirs(x, t, encoder_hidden_states=text).sample
        mine = output[2 * index : 2 * index + 2]
        torch.testing.assert_close(mine, expected, atol=2e-5, rtol=1e-4)
        expected.square().mean(dim=(1, 2, 3)).sum().backward()
        for layer_name, layer in layers.items():
            module = theirs.get_submodule(layer_name)
            for part, grad in (("a", "lora_A"), ("b", "lora_B")):
                gradient = getattr(module, grad)["default"].weight.grad.flatten(1)
                kept = layer.gradient(part, index).T
                assert (kept - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, (layer_name, part)
            if name == "dora":
                gradient = module.lora_magnitude_vector["default"].weight.grad
                assert (layer.gradient("m", index)[0] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9
    with torch.no_grad():  # trained on: what is written is not what it started from
        for weight in (w for layer in layers.values() for part in layer.parts for w in getattr(layer, part)):
            weight += 0.05 * (weight != 0)
        output = unet(x.repeat(2, 1, 1, 1), t.repeat(2), encoder_hidden_states=text.repeat(2, 1, 1)).sample
        for index, adapter in enumerate(adapters):
            adapter_files.save(
                tmp_path / str(index), adapter_files.export(layers, index), adapter, list(layers)
            )
            pipeline = StableDiffusionPipeline.from_pretrained(found.folder)
            pipeline.load_lora_weights(tmp_path / str(index))
            merged = found.unet()
            adapter_files.merge(merged, *adapter_files.load(tmp_path / str(index)))
            for other in (pipeline.unet, merged):
                got = other(x, t, encoder_hidden_states=text).sample
                torch.testing.assert_close(got, output[2 * index : 2 * index + 2], atol=1e-4, rtol=0)


def test_dropout_leaves_out_its_share_and_nests(found: base_model.Base) -> None:
    adapters = [Adapter(4, 4, dropout=share) for share in (0.0, 0.25, 0.5)]
    (layer, *_) = injection.attach(found.unet(), adapters, ["to_q"], seed=0).values()
    x = torch.ones(3, 40, 50)
    assert layer.drop(x) is x, "nothing outside training"
    layer.generators = {0: lambda: torch.Generator().manual_seed(0)}
    dropped = layer.drop(x)
    for index, share in enumerate((0.0, 0.25, 0.5)):
        assert float((dropped[index] == 0).float().mean()) == pytest.approx(share, abs=0.03)
        assert float(dropped[index].mean()) == pytest.approx(1, abs=0.05)
    assert not (dropped[2].bool() & ~dropped[1].bool()).any()


@pytest.mark.parametrize(
    ("adapters", "targets", "sentence"),
    [
        ([Adapter(4, 4)], ["to_q", "to_z"], r"train\.targets: 'to_z' is not the name.*to_out\.0"),
        ([Adapter(4, 4)], ["norm1"], r"train\.targets: 'norm1' is the \w+Norm .*only linear"),
        (
            [Adapter(4, 4, variant="dora")],
            ["conv1"],
            r"train\.variant: dora is .*conv1",
        ),
        ([Adapter(33, 33)], ["to_q"], r"rank 33 is larger than the widest adapted layer \(32\)"),
        (
            [Adapter(4, 4), Adapter(40, 1)],
            ["to_q", "to_k"],
            r"rank 40 is larger .* layer \(32\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    found: base_model.Base, adapters: list[Adapter], targets: list[str], sentence: str
) -> None:
    with pytest.raises(LaureateError, match=sentence):
        injection.attach(found.unet(), adapters, targets, seed=0)


def test_the_shipped_base_has_room_for_rank_256_and_no_more(embedded: Path) -> None:
    """Its text is 256 wide, its attention 128 and 192: there rank 256 is a full-rank update."""
    unet = base_model.find(embedded / "base").unet()
    with pytest.raises(LaureateError, match=r"rank 257 is larger than the widest adapted layer \(256\)"):
        injection.attach(unet, [Adapter(4, 4), Adapter(257, 257)], TARGETS, seed=0)
    layers = injection.attach(unet, [Adapter(256, 256)], TARGETS, seed=0)
    assert min(layer.base.out_features for layer in layers.values()) == 128
