"""Optimisers that hold less memory: what they do to one adapter depends on that adapter alone."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arms import assert_same, trainer, weights_after
from trained import changed

torch = pytest.importorskip("torch")

from laureate import startup  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.networks.lora.arm import Arm, arms_of  # noqa: E402
from laureate.networks.lora.flat_parameters import FlatParameters  # noqa: E402
from laureate.networks.lora.layers import LoraLinear  # noqa: E402
from laureate.training import optimisers  # noqa: E402

try:
    import bitsandbytes  # noqa: F401

    KINDS = ["adamw", "adafactor", "adamw8bit"]
except ImportError:
    KINDS = ["adamw", "adafactor"]


def stack(ranks: list[int], padded: bool, **values: Any) -> tuple[FlatParameters, Any]:
    """The weights of two layers under adapters of some ranks, in one padded run or each alone, and their
    optimiser. Every adapter has weights and a learning rate of its own."""
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    runs = [(0, len(ranks), max(ranks))] if padded else None
    layers = {}
    for name, fan_in, out in (("one", 6, 5), ("two", 7, 300)):
        start = torch.zeros(max(ranks), fan_in)
        layers[name] = LoraLinear(torch.nn.Linear(fan_in, out), adapters, {0: start}, runs, [0] * len(ranks))
    flat = FlatParameters(layers, torch.float32, lambda *sizes: False)
    for layer, part, index, own in flat.own([weight.detach() for weight in flat.weights]):
        source = torch.Generator().manual_seed(ranks[index] * 100 + len(layer + part))
        own.copy_(torch.randn(own.shape, generator=source))
    made = optimisers.build(flat, params.Train(**values), [rank * 1e-3 for rank in ranks])
    return flat, made


def run(flat: FlatParameters, made: Any, ranks: list[int], steps: range) -> None:
    """Some updates with gradients that depend on adapter, layer and step."""
    for step in steps:
        for layer, part, index, own in flat.own(flat.gradients):
            key = f"{ranks[index]} {step} {layer} {part}"
            source = torch.Generator().manual_seed(sum(key.encode()) * 1000 + step)
            own.copy_(torch.randn(own.shape, generator=source))
        made.step(1 / (1 + step))


def weights(flat: FlatParameters) -> dict[tuple[int, str, str], Any]:
    """What every adapter's layers hold."""
    plain = [weight.detach() for weight in flat.weights]
    return {(index, layer, part): own.clone() for layer, part, index, own in flat.own(plain)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(ranks=st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True), padded=st.booleans())
def test_an_adapter_is_updated_as_if_it_were_alone(kind: str, ranks: list[int], padded: bool) -> None:
    """To the last bit, given the same gradients, and whatever the others fill up; AdamW takes the share of a
    smaller learning rate out of the step of the largest, which rounds."""
    flat, made = stack(ranks, padded, optimizer=kind)
    run(flat, made, ranks, range(3))
    together = weights(flat)
    for index, rank in enumerate(ranks):
        other, alone = stack([rank], padded=False, optimizer=kind)
        run(other, alone, [rank], range(3))
        for (_, layer, part), values in weights(other).items():
            close = {"rtol": 1e-5, "atol": 1e-6} if kind == "adamw" else {"rtol": 0, "atol": 0}
            torch.testing.assert_close(together[index, layer, part], values, **close)
    if padded:
        padding = [
            row[rank:].abs().max()
            for layer in flat.layers.values()
            for row, rank in zip(layer.b[0], ranks, strict=True)
            if rank < max(ranks)
        ]
        assert all(value == 0 for value in padding)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [False, True])
def test_it_goes_on_from_what_it_stored(kind: str, padded: bool) -> None:
    """To the last bit, as if it had not stopped."""
    ranks = [2, 5]
    flat, made = stack(ranks, padded, optimizer=kind)
    run(flat, made, ranks, range(5))
    first, half = stack(ranks, padded, optimizer=kind)
    run(first, half, ranks, range(2))
    kept = {(index, name): values.clone() for index, name, values in half.stored()}
    second, rest = stack(ranks, padded, optimizer=kind)
    for own, values in zip(second.weights, first.weights, strict=True):
        own.detach().copy_(values.detach())
    rest.prepare(2)
    for index, name, values in rest.stored():
        values.copy_(kept[index, name])
    run(second, rest, ranks, range(2, 5))
    for key, values in weights(flat).items():
        assert torch.equal(weights(second)[key], values), key


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_trains_and_resumes(study: params.Params, kind: str) -> None:
    """Real gradients: a rank in a pack is the rank alone, and a resumed run ends with the same bytes."""
    study = changed(study, steps=8, optimizer=kind)
    arms = [arm for rank in (2, 4) for arm in arms_of(study.train, rank)]
    made, examples = trainer(study, arms)
    before = made.export(0)
    losses = [made.step(examples, step) for step in range(4)]
    kept = {name: values.clone() for name, values in made.state().items()}
    again, _ = trainer(study, arms)
    again.restore(kept, 4)
    for step in range(4, 8):
        made.step(examples, step)
        again.step(examples, step)
    for index in range(2):
        ours, theirs = made.export(index), again.export(index)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        if kind != "adamw8bit":  # a rounding may fall to the other side of one of 256 steps
            assert_same(ours, weights_after(study, [arms[index]], 8)[0])
    assert any(not torch.equal(before[name], made.export(0)[name]) for name in before)
    assert torch.stack(losses).isfinite().all()


def test_they_store_less(study: params.Params) -> None:
    """Two numbers of every weight, a row's and a column's, or two bytes and their blocks' scales."""
    arms = [Arm(4, 1e-3, 7), Arm(8, 1e-3, 7)]

    def stored(kind: str) -> int:
        made, examples = trainer(changed(study, optimizer=kind), arms)
        made.step(examples, 0)
        return sum(values.nbytes for _, _, values in made.optimizer.stored())

    plain = stored("adamw")
    assert plain == 8 * sum(weight.numel() for weight in trainer(study, arms)[0].flat.weights)
    assert stored("adafactor") < 0.2 * plain
    if "adamw8bit" in KINDS:
        assert stored("adamw8bit") < 0.27 * plain


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, "find_spec", lambda name: None)
    optimisers.check(params.Train(optimizer="adafactor"))
    with pytest.raises(LaureateError, match="bitsandbytes is not installed; run `pip install bitsandbytes`"):
        optimisers.check(params.Train(optimizer="adamw8bit"))


def test_the_stage_may_import_what_it_needs() -> None:
    plain, factored = (params.Params(train=params.Train(optimizer=kind)) for kind in ("adamw", "adafactor"))
    assert "transformers" in startup.unused("train", plain)
    assert "transformers" not in startup.unused("train", factored)
    assert "torch" in sys.modules
