"""All weights in a few tensors: the layers see the same numbers, and gradients arrive there by either way."""

from __future__ import annotations

import itertools
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate import lora, memory  # noqa: E402
from laureate.flat import Flat  # noqa: E402
from laureate.layers import PADDED, LoraLinear, runs_of, unpadded  # noqa: E402

RANKS = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def stack(ranks: list[int], **options: Any) -> tuple[dict[str, LoraLinear], Flat]:
    """Two adapted layers, B away from zero, laid flat."""
    torch.manual_seed(0)
    adapters = [lora.Adapter(rank, 2.0 * rank, **options) for rank in ranks]
    layers = {
        name: LoraLinear(torch.nn.Linear(width, 5).requires_grad_(False), adapters, torch.randn(12, width))
        for name, width in (("first", 12), ("second", 7))
    }
    with torch.no_grad():
        for layer in layers.values():
            for index in range(len(ranks)):
                layer.own("b", index).normal_()
    return layers, Flat(layers, torch.float32)


def push(layers: dict[str, LoraLinear], names: list[str]) -> None:
    """Gradients for some of the layers."""
    source = torch.Generator().manual_seed(1)
    for name in names:
        layer = layers[name]
        x = torch.randn(3 * len(layer.adapters), layer.base.in_features, generator=source)
        layer(x).square().sum().backward()


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
    push(layers, ["first", "second"])
    flat.collect()
    found = gradients_of_flat(layers, flat)
    norms = [sum(float(found[key].square().sum()) for key in found if key[2] == i) for i in range(len(ranks))]
    torch.testing.assert_close(flat.norms(), torch.tensor(norms).sqrt())
    with torch.no_grad():  # what changes the flat tensors changes the layers, and the other way round
        before = {key: layers[key[0]].own(key[1], key[2]).clone() for key in found}
        for weight in flat.weights:
            weight.add_(1)
        for key, old in before.items():
            assert torch.equal(layers[key[0]].own(key[1], key[2]), old + 1)
    assert sum(weight.numel() for weight in flat.weights) <= 2 * sum(old.numel() for old in before.values())


def gradients_of_flat(layers: dict[str, LoraLinear], flat: Flat) -> dict[tuple[str, str, int], Any]:
    """Every adapter's own gradients, read from the flat tensors."""
    found = {}
    for slot in flat.slots:
        first, end, _ = flat.runs[slot.run]
        for index in range(first, end):
            rank = layers[slot.layer].adapters[index].rank
            values = slot.of(flat.gradients)[index - first]
            found[slot.layer, slot.part, index] = unpadded(slot.part, values, rank).clone()
    return found


@pytest.mark.parametrize("variant", ["lora", "dora"])  # the first writes its gradients itself
def test_gradients_are_those_of_plain_layers_and_add_up_until_they_are_forgotten(variant: str) -> None:
    ranks = [2, 3, 8]
    plain, _ = stack(ranks, variant=variant)
    for layer in plain.values():  # as if nothing were flat
        layer.lent.clear()
    push(plain, ["first", "second"])
    once = gradients(plain)
    layers, flat = stack(ranks, variant=variant)
    for times in (1, 2):
        push(layers, ["first", "second"])
        flat.collect()
        for key, value in gradients_of_flat(layers, flat).items():
            torch.testing.assert_close(value, times * once[key])
    flat.forget()
    push(layers, ["first"])
    flat.collect()
    for key, value in gradients_of_flat(layers, flat).items():
        torch.testing.assert_close(value, once[key] if key[0] == "first" else torch.zeros_like(value))


@given(RANKS)
def test_runs_are_few_and_pad_little(ranks: list[int]) -> None:
    cpu = torch.device("cpu")
    runs = runs_of(ranks, cpu)
    assert [index for first, end, _ in runs for index in range(first, end)] == list(range(len(ranks)))
    assert all(max(ranks[first:end]) == rank for first, end, rank in runs)
    allowed = PADDED * sum(ranks)
    assert sum((end - first) * rank for first, end, rank in runs) <= allowed
    ways = itertools.combinations(range(1, len(ranks)), len(runs) - 2) if len(runs) > 1 else []
    for cuts in ways:  # no way with one run less is allowed
        edges = [0, *cuts, len(ranks)]
        assert sum((b - a) * max(ranks[a:b]) for a, b in itertools.pairwise(edges)) > allowed
    assert runs_of(ranks, torch.device("cuda")) == [(0, len(ranks), max(ranks))]


def test_the_ranks_of_the_study_make_two_runs() -> None:
    ranks = [4, 8, 16, 32, 64, 128]
    assert runs_of(ranks, torch.device("cpu")) == [(0, 4, 32), (4, 6, 128)]
    assert len(runs_of([16] * 6, torch.device("cpu"))) == 1


FAULTS = """
import resource, sys
import numpy as np
from laureate import memory
if sys.argv[1] == "keep":
    print(memory.keep())
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
    monkeypatch.setattr(memory, "keep", lambda: True)
    assert memory.keep_beside(tmp_path / "nothing yet")
    (tmp_path / "unet").mkdir()
    with (tmp_path / "unet" / "weights.safetensors").open("wb") as file:
        file.truncate(memory.LARGE - 1)  # takes no room
        assert memory.keep_beside(tmp_path)
        file.truncate(memory.LARGE)
        assert not memory.keep_beside(tmp_path)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert memory.keep() is False
