"""All weights in a few tensors: the layers see the same numbers, and gradients arrive there by every way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.networks.lora.flat_parameters import FlatParameters  # noqa: E402
from laureate.networks.lora.layers import LoraLinear  # noqa: E402
from laureate.networks.lora.low_rank_matmul import InputGroups  # noqa: E402

RANKS = st.lists(st.integers(1, 12), min_size=1, max_size=5)
SHAPES = {"first": (12, 5), "second": (7, 5), "third": (12, 5)}


def plain(
    ranks: list[int], dtype: Any = torch.float32, padded: bool = False, **options: Any
) -> dict[str, LoraLinear]:
    """Adapted layers, two of them of one shape, B away from zero. `padded`: in one run, as on a GPU."""
    runs = [(0, len(ranks), max(ranks))] if padded else None
    torch.manual_seed(0)
    adapters = [Adapter(rank, (1.0 + index) * rank, **options) for index, rank in enumerate(ranks)]
    layers = {}
    for name, (fan_in, out) in SHAPES.items():
        base = torch.nn.Linear(fan_in, out, bias=name == "second").requires_grad_(False)
        layers[name] = LoraLinear(base.to(dtype), adapters, {0: torch.randn(12, fan_in)}, runs)
    with torch.no_grad():
        for layer in layers.values():
            for index in range(len(ranks)):
                layer.own("b", index).normal_()
    return layers


def stack(
    ranks: list[int], whole: bool = True, **options: Any
) -> tuple[dict[str, LoraLinear], FlatParameters]:
    """The same in flat tensors. In float64 a product is made without the frozen weight, as in 16 bits.

    `whole`: with the updates multiplied out.
    """
    layers = plain(ranks, **options)
    flat = FlatParameters(layers, options.get("dtype", torch.float32), lambda *_: whole)
    flat.refresh()
    return layers, flat


def push(layers: dict[str, LoraLinear], names: list[str]) -> None:
    """Gradients for some of the layers."""
    source = torch.Generator().manual_seed(1)
    for name in names:
        layer = layers[name]
        x = torch.randn(3 * len(layer.adapters), layer.base.in_features, generator=source)
        layer(x.to(layer.base.weight.dtype)).square().sum().backward()


def gradients(layers: dict[str, LoraLinear]) -> dict[tuple[str, str, int], Any]:
    """Every adapter's own gradients."""
    return {
        (name, part, index): layer.gradient(part, index).clone()
        for name, layer in layers.items()
        for part in layer.parts
        for index in range(len(layer.adapters))
    }


@given(RANKS, st.sampled_from(["lora", "rslora", "dora"]))
@settings(max_examples=25, deadline=None)
def test_weights_and_gradients_are_the_layers_own(ranks: list[int], variant: str) -> None:
    layers, flat = stack(ranks, variant=variant)
    push(layers, list(SHAPES))
    flat.gather_gradients()
    found = gradients_of_flat(flat)
    norms = [sum(float(found[key].square().sum()) for key in found if key[2] == i) for i in range(len(ranks))]
    torch.testing.assert_close(flat.norms(), torch.tensor(norms).sqrt())
    with torch.no_grad():  # what changes the flat tensors changes the layers, and the other way round
        before = {key: layers[key[0]].own(key[1], key[2]).clone() for key in found}
        for weight in flat.weights:
            weight.add_(1)
        for key, old in before.items():
            assert torch.equal(layers[key[0]].own(key[1], key[2]), old + 1)
    assert sum(weight.numel() for weight in flat.weights) <= 2 * sum(old.numel() for old in before.values())


def gradients_of_flat(flat: FlatParameters) -> dict[tuple[str, str, int], Any]:
    """Every adapter's own gradients, read from the flat tensors."""
    return {(layer, part, index): own.clone() for layer, part, index, own in flat.own(flat.gradients)}


def near(value: Any, expected: Any) -> None:
    """Equal but for float32's rounding."""
    assert (value - expected).abs().max() <= 1e-5 * expected.abs().max()


WAYS: dict[str, dict[str, Any]] = {
    "multiplied out": {},
    "multiplied out beside the weight": {"dtype": torch.float64},
    "narrow": {"whole": False},
    "by autograd": {"variant": "dora"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("padded", [False, True])  # as on a graphics card
def test_outputs_and_gradients_are_those_of_plain_layers_and_add_up_until_marked_stale(
    way: str, padded: bool
) -> None:
    ranks, names = [2, 3, 8], list(SHAPES)
    options = {key: value for key, value in WAYS[way].items() if key != "whole"}
    alone = plain(ranks, **options)  # as if nothing were flat
    push(alone, names)
    once = gradients(alone)
    layers, flat = stack(ranks, padded=padded, **WAYS[way])
    assert len(flat.weights) == (1 if padded else len(ranks))
    assert len(flat.groups) == (2 if "out" in way else 0)
    for name, layer in layers.items():
        x = torch.randn(6, SHAPES[name][0], dtype=layer.base.weight.dtype)
        torch.testing.assert_close(layer(x), alone[name](x), atol=1e-5, rtol=1e-5)
    for times in (1, 2):
        push(layers, names)
        flat.gather_gradients()
        for key, value in gradients_of_flat(flat).items():
            near(value, times * once[key])
    flat.mark_gradients_stale()
    push(layers, ["first"])
    flat.gather_gradients()
    for key, value in gradients_of_flat(flat).items():
        expected = once[key] if key[0] == "first" else torch.zeros_like(value)
        near(value, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("of", [None, (0, 0, 0, 0), (0, 1, 0, 1), (1, 0, 0, 2)])
def test_an_inputs_gradient_passes_a_product(dtype: Any, of: tuple[int, ...] | None) -> None:
    """`of`: adapters of one number get the same input, which the frozen weight then multiplies once."""
    ranks, groups = [2, 3, 2, 1], of and InputGroups(of)
    x = torch.randn(8, SHAPES["second"][0], dtype=dtype)
    x = groups.spread(x[: 2 * groups.count]) if groups else x
    found = [[], []]
    for way, layers in enumerate((plain(ranks, dtype=dtype), stack(ranks, dtype=dtype)[0])):
        for each in (groups, None):
            layers["second"].groups = each
            mine = x.clone().requires_grad_()
            y = layers["second"](mine)
            y.square().sum().backward()
            found[way] += [mine.grad, y.detach()]
    for ours, theirs in zip(found[0], found[1], strict=True):
        near(ours, theirs)
    near(found[0][1], found[0][3])


def test_small_updates_are_not_lost_beside_16_bit_weights() -> None:
    layer = LoraLinear(
        torch.nn.Linear(4, 4, bias=False).requires_grad_(False), [Adapter(1, 1)], {0: torch.ones(1, 4)}
    )
    with torch.no_grad():
        layer.base.weight.fill_(1.0)
        layer.own("b", 0).fill_(2.0**-12)  # below the last bit of a bfloat16 of 1
    layer.base.to(torch.bfloat16)
    flat = FlatParameters({"layer": layer}, torch.bfloat16, lambda *_: True)
    flat.refresh()
    assert flat.groups
    x = torch.tensor([[1.0, -1.0, 1.0, 0.0]]).bfloat16()  # the frozen part gives 1
    zero = torch.tensor([[1.0, -1.0, 0.0, 0.0]]).bfloat16()  # and here 0
    assert layer(x).tolist() == [[1.0] * 4]
    assert layer(zero).tolist() == [[0.0] * 4]
    lone = torch.tensor([[2.0**-12, 0.0, 0.0, 0.0]]).bfloat16()
    assert (layer(lone).float() >= 2.0**-12).all()
    torch.testing.assert_close(layer.update.value[0].float(), torch.full((4, 4), 2.0**-12))
