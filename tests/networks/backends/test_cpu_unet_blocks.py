"""The UNet as a CPU computes it against diffusers' own: same names, same numbers, and only where it fits."""

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import small_base  # noqa: E402

from laureate.networks.backends import cpu_unet_blocks, placement  # noqa: E402
from laureate.networks.backends.cpu_attention import AttentionProcessor  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import injection  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.networks.lora.flat_parameters import FlatParameters  # noqa: E402

CPU = torch.device("cpu")
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> base_model.Base:
    return base_model.find(small_base.write(tmp_path_factory.mktemp("base") / "base"))


EXCHANGED = {
    "GEGLU": "GatedUnit",
    "TimestepEmbedding": "TimeEmbedding",
    "ResnetBlock2D": "ResnetBlock",
    "BasicTransformerBlock": "TransformerBlock",
}


def kind_of(net: Any, name: str) -> str:
    """The class of a layer."""
    return type(net.get_submodule(name)).__name__


def outcome(unet: Any, inputs: tuple[Any, Any, Any]) -> list[Any]:
    """What a UNet predicts, and the gradients of latents and captions."""
    latents, t, text = (x.clone() for x in inputs)
    latents.requires_grad_(), text.requires_grad_()
    output = unet(latents, t, encoder_hidden_states=text).sample
    output.square().sum().backward()
    return [output.detach(), latents.grad, text.grad]


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """The same tensors to rounding."""
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5 * float(reference.abs().max()))


@pytest.mark.parametrize("products", [False, True])
def test_names_outputs_and_gradients_are_those_of_diffusers(found: base_model.Base, products: bool) -> None:
    theirs, ours = found.unet(), found.unet()
    cpu_unet_blocks.exchange_blocks(ours, products)
    changes = {(kind_of(theirs, name), kind_of(ours, name)) for name, _ in ours.named_modules()}
    changes = {(before, after) for before, after in changes if before != after}
    assert changes - {("Conv2d", "PackedConv2d")} == EXCHANGED.items(), "and all else is diffusers' own"
    assert not {kind_of(ours, name) for name, _ in ours.named_modules()} & EXCHANGED.keys(), "all of a kind"
    assert {type(processor) for processor in ours.attn_processors.values()} == {AttentionProcessor}
    assert AttentionProcessor not in {type(processor) for processor in theirs.attn_processors.values()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    inputs = small_base.inputs(3)
    assert_alike(outcome(ours, inputs), outcome(theirs, inputs))


def test_a_drawing_computes_its_time_once_and_a_row_does_not_depend_on_the_others(
    found: base_model.Base,
) -> None:
    """To rounding what it is outside, and the same bytes for a row among 4, 5, 7 or 12."""
    unet = placement.place_unet(found.unet(), CPU, torch.float32)
    latents, _, text = (torch.cat([x] * 4) for x in small_base.inputs(3))
    rows: list[int] = []
    unet.time_embedding.linear_1.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))

    def predicted(count: int) -> Any:
        return unet(latents[:count], torch.tensor(5), encoder_hidden_states=text[:count]).sample

    with torch.no_grad():
        outside = predicted(12)
        with placement.drawing(unet):
            first = predicted(12)
            torch.testing.assert_close(first, outside, rtol=1e-4, atol=1e-5)
            for count in (4, 5, 7):
                assert torch.equal(predicted(count), first[:count])
        predicted(4)
    assert rows == [12, 1, 1, 1, 1, 4]


def test_bfloat16_is_as_close_as_bfloat16_can_be(found: base_model.Base) -> None:
    exact = outcome(found.unet(), small_base.inputs(3))
    inputs = tuple(x if x.dtype == torch.int64 else x.bfloat16() for x in small_base.inputs(3))
    rough = outcome(placement.place(found.unet(), CPU, torch.bfloat16, channels_last=False), inputs)
    ours = outcome(placement.place_unet(found.unet(), CPU, torch.bfloat16), inputs)
    for mine, other, reference in zip(ours, rough, exact, strict=True):
        off, theirs = ((each.float() - reference).norm() / reference.norm() for each in (mine, other))
        assert off < 1.5 * theirs < 0.1


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_a_stack_gives_what_it_gives_in_diffusers_blocks(
    found: base_model.Base, products: bool, whole: bool
) -> None:
    """With the updates multiplied out and without."""
    adapters = [Adapter(2, 2.0), Adapter(5, 10.0)]
    inputs = tuple(torch.cat([x, x]) for x in small_base.inputs(2))
    results = []
    for exchanged in (False, True):
        unet = found.unet()
        if exchanged:
            cpu_unet_blocks.exchange_blocks(unet, products)
        layers = injection.attach(unet, adapters, TARGETS, seed=0)
        source = torch.Generator().manual_seed(5)
        for layer in layers.values():
            for b in layer.b:
                b.data = 0.1 * torch.randn(b.shape, generator=source)
        flat = FlatParameters(layers, torch.float32, lambda *_, multiplied=whole: multiplied)
        assert bool(flat.groups) == whole
        flat.refresh()
        found_here = outcome(unet, inputs)
        flat.gather_gradients()
        results.append([*found_here, *flat.gradients])
    assert float(results[0][3].abs().max()) > 0
    assert_alike(results[1], results[0])


def test_the_feed_forward_part_can_be_adapted_too(found: base_model.Base) -> None:
    unet = placement.place_unet(found.unet(), CPU, torch.float32)
    before = outcome(unet, small_base.inputs(2))
    layers = injection.attach(unet, [Adapter(2, 2.0)], ["ff.net.0.proj", "conv1", "time_emb_proj"], seed=0)
    after = outcome(unet, small_base.inputs(2))
    torch.testing.assert_close(after[0], before[0])
    next(iter(layers.values())).b[0].data.fill_(0.1)
    assert not torch.allclose(outcome(unet, small_base.inputs(2))[0], before[0])


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("resnet_time_scale_shift", "scale_shift", "ResnetBlock2D"),
        ("mid_block_scale_factor", 2.0, "ResnetBlock2D"),
        ("only_cross_attention", True, "BasicTransformerBlock"),
    ],
)
def test_other_blocks_stay_as_they_are(found: base_model.Base, name: str, value: Any, kept: str) -> None:
    from diffusers import UNet2DConditionModel

    config = dict(found.unet().config) | {name: value}
    torch.manual_seed(0)
    theirs = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
    ours = copy.deepcopy(theirs)
    cpu_unet_blocks.exchange_blocks(ours, products=True)
    assert kept in {type(module).__name__ for module in ours.modules()}
    inputs = small_base.inputs(3)
    assert_alike(outcome(ours, inputs), outcome(theirs, inputs))


def plain_and_packed(side: int) -> tuple[Any, Any, Any]:
    """A convolution, the same packed, and an input."""
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(48, 32, 3, padding=1).bfloat16().requires_grad_(False)
    return plain, cpu_unet_blocks.PackedConv2d.of(plain), torch.randn(2, 48, side, side).bfloat16()


packing = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no products of bfloat16"
)


@packing
@pytest.mark.parametrize("side", [4, 32])  # packed, and not
def test_a_packed_convolution_gives_the_same_to_the_last_bit(side: int) -> None:
    plain, packed, x = plain_and_packed(side)
    found = []
    for conv in (plain, packed):
        inputs = x.clone().requires_grad_()
        y = conv(inputs)
        y.float().square().sum().backward()
        found.append((y.detach(), inputs.grad))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*found, strict=True))
    assert (packed._kept[0] is not None) == (side == 4)


@packing
def test_a_packed_convolution_can_be_copied_after_it_was_used() -> None:
    _, packed, x = plain_and_packed(4)
    before = packed(x)
    again = copy.deepcopy(packed, {id(packed.weight): packed.weight})
    assert torch.equal(again(x), before)
    assert again.weight is packed.weight


@packing
def test_a_packed_convolution_follows_its_weight() -> None:
    plain, packed, x = plain_and_packed(4)
    before = packed(x)
    with torch.no_grad():
        plain.weight.mul_(2)  # they share it
    assert torch.equal(packed(x), plain(x))
    assert not torch.equal(packed(x), before)
    assert torch.equal(packed.float()(x.float()), plain.float()(x.float()))


def test_attention_that_is_more_keeps_its_processor(found: base_model.Base) -> None:
    unet = found.unet()
    attention = unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn1")
    attention.upcast_attention = True
    cpu_unet_blocks.exchange_blocks(unet, products=True)
    processors = [type(processor) for processor in unet.attn_processors.values()]
    assert processors.count(AttentionProcessor) == len(processors) - 1


def test_a_mask_is_refused(found: base_model.Base) -> None:
    unet = placement.place_unet(found.unet(), CPU, torch.float32)
    latents, t, text = small_base.inputs(2)
    mask = torch.zeros(2, 77)
    with pytest.raises(ValueError, match="no mask"):
        unet(latents, t, encoder_hidden_states=text, encoder_attention_mask=mask)


def test_the_shipped_base_is_all_exchanged(embedded: Path) -> None:
    unet = placement.place_unet(base_model.find(embedded / "base").unet(), CPU, torch.bfloat16)
    kinds = {type(module).__name__ for module in unet.modules()}
    assert not kinds & {"GEGLU", "ResnetBlock2D", "BasicTransformerBlock"}
    assert {type(processor) for processor in unet.attn_processors.values()} == {AttentionProcessor}
