"""All weights in a few tensors: the layers see the same numbers, and gradients arrive there by every way."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate import startup  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.networks.lora.flat_parameters import Flat  # noqa: E402
from laureate.networks.lora.layers import LoraLinear, runs_of  # noqa: E402
from laureate.networks.lora.low_rank_matmul import better_whole  # noqa: E402

RANKS = st.lists(st.integers(1, 12), min_size=1, max_size=5)
SHAPES = {"first": (12, 5), "second": (7, 5), "third": (12, 5)}


def plain(ranks: list[int], dtype: Any = torch.float32, **options: Any) -> dict[str, LoraLinear]:
    """Adapted layers, two of them of one shape, B away from zero."""
    torch.manual_seed(0)
    adapters = [Adapter(rank, (1.0 + index) * rank, **options) for index, rank in enumerate(ranks)]
    layers = {}
    for name, (fan_in, out) in SHAPES.items():
        base = torch.nn.Linear(fan_in, out, bias=name == "second").requires_grad_(False)
        layers[name] = LoraLinear(base.to(dtype), adapters, torch.randn(12, fan_in))
    with torch.no_grad():
        for layer in layers.values():
            for index in range(len(ranks)):
                layer.own("b", index).normal_()
    return layers


def stack(ranks: list[int], whole: bool = True, **options: Any) -> tuple[dict[str, LoraLinear], Flat]:
    """The same, laid flat. In float64 a product is made without the frozen weight, as in 16 bits."""
    layers = plain(ranks, **options)
    flat = Flat(layers, options.get("dtype", torch.float32), whole)
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
    flat.collect()
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


def gradients_of_flat(flat: Flat) -> dict[tuple[str, str, int], Any]:
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
def test_outputs_and_gradients_are_those_of_plain_layers_and_add_up_until_forgotten(
    way: str, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks, names = [2, 3, 8], list(SHAPES)
    options = {key: value for key, value in WAYS[way].items() if key != "whole"}
    alone = plain(ranks, **options)  # as if nothing were flat
    push(alone, names)
    once = gradients(alone)
    if padded:
        monkeypatch.setattr(
            "laureate.networks.lora.layers.runs_of", lambda ranks, device: [(0, len(ranks), max(ranks))]
        )
    layers, flat = stack(ranks, **WAYS[way])
    assert len(flat.groups) == (2 if "out" in way else 0)
    for name, layer in layers.items():
        x = torch.randn(6, SHAPES[name][0], dtype=layer.base.weight.dtype)
        torch.testing.assert_close(layer(x), alone[name](x), atol=1e-5, rtol=1e-5)
    for times in (1, 2):
        push(layers, names)
        flat.collect()
        for key, value in gradients_of_flat(flat).items():
            near(value, times * once[key])
    flat.forget()
    push(layers, ["first"])
    flat.collect()
    for key, value in gradients_of_flat(flat).items():
        expected = once[key] if key[0] == "first" else torch.zeros_like(value)
        near(value, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("same", [False, True])
def test_an_inputs_gradient_passes_a_product(dtype: Any, same: bool) -> None:
    ranks = [2, 3]
    x = torch.randn(2 if same else 8, SHAPES["second"][0], dtype=dtype)
    x = x.repeat(4, 1) if same else x
    found = []
    for layers in (plain(ranks, dtype=dtype), stack(ranks, dtype=dtype)[0]):
        layers["second"].same = same
        mine = x.clone().requires_grad_()
        layers["second"](mine).square().sum().backward()
        found.append(mine.grad)
    near(found[0], found[1])


def test_small_updates_are_not_lost_beside_16_bit_weights() -> None:
    layer = LoraLinear(
        torch.nn.Linear(4, 4, bias=False).requires_grad_(False), [Adapter(1, 1)], torch.ones(1, 4)
    )
    with torch.no_grad():
        layer.base.weight.fill_(1.0)
        layer.own("b", 0).fill_(2.0**-12)  # below the last bit of a bfloat16 of 1
    layer.base.to(torch.bfloat16)
    flat = Flat({"layer": layer}, torch.bfloat16)
    flat.refresh()
    assert flat.groups
    x = torch.tensor([[1.0, -1.0, 1.0, 0.0]]).bfloat16()  # the frozen part gives 1
    zero = torch.tensor([[1.0, -1.0, 0.0, 0.0]]).bfloat16()  # and here 0
    assert layer(x).tolist() == [[1.0] * 4]
    assert layer(zero).tolist() == [[0.0] * 4]
    lone = torch.tensor([[2.0**-12, 0.0, 0.0, 0.0]]).bfloat16()
    assert (layer(lone).float() >= 2.0**-12).all()
    torch.testing.assert_close(layer.update.value[0].float(), torch.full((4, 4), 2.0**-12))


@given(RANKS)
def test_an_adapter_is_a_run_of_its_own_but_on_a_graphics_card(ranks: list[int]) -> None:
    runs = runs_of(ranks, torch.device("cpu"))
    assert runs == [(index, index + 1, rank) for index, rank in enumerate(ranks)]
    assert runs_of(ranks, torch.device("cuda")) == [(0, len(ranks), max(ranks))]


def test_wide_layers_stay_narrow() -> None:
    assert better_whole(128, 128)
    assert better_whole(256, 192)
    assert not better_whole(320, 320)  # Stable Diffusion's first, and all others are wider
    assert not better_whole(1024, 320)


FAULTS = """
import resource, sys
import numpy as np
from laureate import startup
if sys.argv[1] == "keep":
    print(startup.keep_freed_memory())
def work():
    for _ in range(10):
        np.ones(5_000_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory its own way")
def test_freed_memory_is_kept_for_the_next_request() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    assert faults("keep") < 100
    assert faults("keep") < faults("not") / 2


def test_memory_is_not_kept_beside_large_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: True)
    assert startup.keep_freed_memory_beside(tmp_path / "nothing yet")
    (tmp_path / "unet").mkdir()
    with (tmp_path / "unet" / "weights.safetensors").open("wb") as file:
        file.truncate(startup.LARGE - 1)  # takes no room
        assert startup.keep_freed_memory_beside(tmp_path)
        file.truncate(startup.LARGE)
        assert not startup.keep_freed_memory_beside(tmp_path)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert startup.keep_freed_memory() is False
