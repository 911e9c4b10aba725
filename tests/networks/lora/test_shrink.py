"""An adapter cut by singular values: NumPy's on the full matrix, and loaded as any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.lora import adapter_files, shrink  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402

Shape = tuple[int, int, tuple[int, ...]]  # out, in, kernel
SHAPES: dict[str, Shape] = {
    "unet.wide": (20, 30, ()),
    "unet.narrow": (5, 30, ()),
    "unet.conv": (12, 4, (3, 3)),
    "text_encoder.text_model.q_proj": (16, 16, ()),
}


def state_of(rank: int, seed: int = 0) -> dict[str, Any]:
    """An adapter whose singular values differ."""
    source, state = torch.Generator().manual_seed(seed), {}
    for name, (out, fan_in, kernel) in SHAPES.items():
        falling = torch.linspace(1, 0.1, rank)
        a = torch.randn(rank, fan_in, *kernel, generator=source)
        b = torch.randn(out, rank, *(1 for _ in kernel), generator=source)
        state[f"{name}.lora_A.weight"] = a * falling.view(-1, *[1] * (a.dim() - 1))
        state[f"{name}.lora_B.weight"] = b
    return state


def product(state: dict[str, Any], name: str, scale: float) -> Any:
    """The update of a layer as a matrix, float64."""
    a, b = (state[f"{name}.lora_{half}.weight"].double().flatten(1).numpy() for half in "AB")
    return scale * b @ a


@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from([1.0, 8.0, 0.3]))
@settings(max_examples=20, deadline=None)
def test_it_is_numpys_truncated_svd_of_the_full_matrix(rank: int, to: int, alpha: float) -> None:
    state, adapter = state_of(rank), Adapter(rank, alpha)
    updates = shrink.updates_of(state, adapter)
    cut = shrink.cut(updates, shrink.ranks_of(updates, to, "layer"))
    left = 0.0
    for name in SHAPES:
        whole = product(state, name, adapter.scale)
        u, values, v = np.linalg.svd(whole, full_matrices=False)
        best = (u[:, :to] * values[:to]) @ v[:to]
        ours = product(cut, name, 1.0)
        assert np.linalg.norm(ours - best) <= 1e-5 * np.linalg.norm(best)
        np.testing.assert_allclose(updates[name].values, values[: len(updates[name].values)], atol=1e-5)
        assert cut[f"{name}.lora_A.weight"].shape[0] == to
        left += np.linalg.norm(whole - best) ** 2
    total = sum(np.linalg.norm(product(state, name, adapter.scale)) ** 2 for name in SHAPES)
    share = shrink.kept_share(updates, shrink.ranks_of(updates, to, "layer"))
    assert share == pytest.approx(1 - left / total, abs=1e-9)


def test_nothing_is_lost_where_the_rank_is_enough() -> None:
    state, adapter = state_of(6), Adapter(6, 12.0)
    updates = shrink.updates_of(state, adapter)
    cut = shrink.cut(updates, shrink.ranks_of(updates, 6, "layer"))
    for name in SHAPES:
        np.testing.assert_allclose(product(cut, name, 1.0), product(state, name, 2.0), atol=1e-5)


@pytest.mark.parametrize("to", [1, 3, 8])
def test_a_global_budget_takes_no_more_numbers_and_keeps_more(to: int) -> None:
    state = state_of(16)
    state["unet.wide.lora_B.weight"] *= 10  # one layer matters more than the others
    updates = shrink.updates_of(state, Adapter(16, 16.0))
    layer, whole = (shrink.ranks_of(updates, to, budget) for budget in ("layer", "global"))
    numbers = [sum(t.numel() for t in shrink.cut(updates, ranks).values()) for ranks in (layer, whole)]
    assert numbers[1] <= numbers[0]
    assert shrink.kept_share(updates, whole) > shrink.kept_share(updates, layer)
    assert whole["unet.wide"] > to


def test_an_adapter_with_lengths_cannot_be_cut() -> None:
    state = state_of(4) | {"unet.wide.lora_magnitude_vector": torch.ones(20)}
    with pytest.raises(LaureateError, match="DoRA cannot be cut"):
        shrink.updates_of(state, Adapter(4, 4.0, variant="dora"))


@pytest.mark.parametrize("budget", ["layer", "global"])
def test_a_cut_adapter_is_saved_and_loaded_as_any_other(tmp_path: Path, budget: shrink.Budget) -> None:
    """Also one whose layers have ranks of their own, which diffusers reads from the header."""
    state = {name: tensor for name, tensor in state_of(8).items() if name.startswith("unet.")}
    state["unet.wide.lora_B.weight"] *= 5
    updates = shrink.updates_of(state, Adapter(8, 8.0))
    ranks = shrink.ranks_of(updates, 3, budget)
    kept = {name.removeprefix("unet."): rank for name, rank in ranks.items() if rank}
    adapter_files.save(tmp_path, shrink.cut(updates, ranks), Adapter(3, 3.0), list(kept), kept)
    loaded, adapter = adapter_files.load(tmp_path, 0.5)
    assert adapter == Adapter(3, 1.5)
    for name in ranks:
        if ranks[name]:
            best = product(shrink.cut(updates, ranks), name, 1.0)
            np.testing.assert_allclose(product(loaded, name, adapter.scale), 0.5 * best, atol=1e-6)
    header = safetensors_io.metadata(tmp_path / paths.ADAPTER_WEIGHTS)
    assert ("rank_pattern" in header[adapter_files.METADATA]) == (budget == "global")
