"""What was measured on a CPU is applied on a CPU only: every rule, by the name of a device type."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.networks.backends import device_rules

OTHERS = ["cuda", "mps", "xpu"]
NUMBERS = st.integers(1, 10_000)


@given(st.sampled_from(OTHERS), NUMBERS, NUMBERS, NUMBERS)
def test_no_measured_threshold_is_applied_elsewhere(where: str, a: int, b: int, c: int) -> None:
    assert not device_rules.multiplies_out(where, a, b)
    assert not device_rules.packs_convolution(where, a, b)
    assert not device_rules.attention_as_products(where, 16)
    assert device_rules.least_rows(where) == 1
    assert device_rules.held_out_batch(where, a, b) == a
    assert device_rules.channels_last(where)


def test_wide_layers_stay_factored_on_a_cpu() -> None:
    assert device_rules.multiplies_out("cpu", 128, 128)
    assert device_rules.multiplies_out("cpu", 256, 192)
    assert not device_rules.multiplies_out("cpu", 320, 320)  # Stable Diffusion's first; all others are wider
    assert not device_rules.multiplies_out("cpu", 1024, 320)
    assert not device_rules.multiplies_out("cpu", 128, 128, "reference")


def test_costs_are_counted_on_meta_by_the_rule_of_a_cpu() -> None:
    for side in (16, 128, 256, 257, 320):
        assert device_rules.multiplies_out("meta", side, side) == device_rules.multiplies_out(
            "cpu", side, side
        )


def test_the_other_rules_of_a_cpu() -> None:
    assert device_rules.packs_convolution("cpu", 9 * 48 * 32, 2 * 16 * 80)
    assert not device_rules.packs_convolution("cpu", 9 * 48 * 32, 2 * 32**2 * 80)
    assert not device_rules.packs_convolution("cpu", device_rules.LARGEST_PACKED + 1, 1)
    assert device_rules.attention_as_products("cpu", 16)
    assert not device_rules.attention_as_products("cpu", 32)
    assert device_rules.least_rows("cpu") == 4
    assert device_rules.held_out_batch("cpu", 1, 64) == 32
    assert device_rules.held_out_batch("cpu", 8, 96**2) == 8
    assert not device_rules.channels_last("cpu")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_neighbours_of_one_rank_are_a_run_and_on_a_graphics_card_all_are(ranks: list[int]) -> None:
    runs = device_rules.adapter_runs("cpu", ranks)
    assert device_rules.adapter_runs("meta", ranks) == runs
    assert [rank for first, end, rank in runs for _ in range(first, end)] == ranks
    assert all(one[1] == other[0] and one[2] != other[2] for one, other in pairwise(runs))
    assert device_rules.adapter_runs("cuda", ranks) == [(0, len(ranks), max(ranks))]


@pytest.mark.parametrize("where", ["cuda", "cpu"])
def test_a_trainer_multiplies_out_by_the_rule_of_its_device(where: str) -> None:
    """`Trainer` asks with the type of its own device: here on a device that is named and not there."""
    from types import SimpleNamespace

    from laureate.config.params import Train
    from laureate.training.trainer import Trainer

    def asked(**train: str) -> bool:
        made = SimpleNamespace(train=Train(**train), device=SimpleNamespace(type=where))
        return Trainer._multiplies_out(made, 128, 128)

    assert asked() == (where == "cpu")
    assert not asked(kernels="reference")
    assert not asked(compile="default")


def test_thresholds_are_in_one_place(root: Path) -> None:
    """What else asks for the type of a device is listed here: none of it compares a size with a number."""
    asks = {}
    for folder in ("networks", "training", "sampling", "torch_utils"):
        for file in sorted((root / "src/laureate" / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(
                    (".type", "device_type")
                ):
                    asks.setdefault(file.name, []).append(ast.unparse(node))
    asks.pop("device_rules.py")
    assert asks == {
        "device.py": ["where.type == 'cuda'"] * 2,  # which precision is fast; whose memory
        "placement.py": ["where.type == 'cpu'"],  # whose blocks
        "objective.py": ["device.type == 'cuda'"],  # pinned memory
        "trainer.py": ["self.device.type == 'cpu'"],  # no waiting
    }
