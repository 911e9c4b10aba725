"""What a person with a graphics card is asked to run works from end to end, here on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_base

pytest.importorskip("torch")

from benchmarks import __main__ as command
from benchmarks import gpu, harness

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, root: Path
) -> Callable[..., dict[str, Any]]:
    """Run a benchmark quickly on a small base and give its JSON."""
    base = small_base.write(tmp_path_factory.mktemp("base"))
    monkeypatch.chdir(root)

    def run(*words: str) -> dict[str, Any]:
        out = tmp_path / "result.json"
        assert command.main([*words, "--quick", "--base", str(base), "--out", str(out)]) == 0
        return harness.read(out)

    return run


def test_memory_is_what_plan_says(bench: Callable[..., dict[str, Any]]) -> None:
    row = bench("memory", "--ranks", "2", "4", "--sizes", "2x8")["rows"][0]
    assert row["ranks"] == "2, 4"
    assert abs(row["error"]) < 0.15


def test_the_same_training_twice_gives_the_same_bytes(bench: Callable[..., dict[str, Any]]) -> None:
    rows = bench("repeat", "--ranks", "2", "4", "--sizes", "2x8")["rows"]
    assert [row["setting"] for row in rows] == ["plain", "deterministic algorithms"]
    assert all(row["same"] and row["difference"] == 0 for row in rows)


@pytest.mark.usefixtures("warm_python")
def test_one_command_runs_the_parts_and_notes_one_that_fails(
    bench: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {
        "memory": ["memory", "--ranks", "2", "4", "--sizes", "1x8"],
        "train": ["train", "--sizes", "nonsense"],
    }
    monkeypatch.setattr(gpu, "parts", lambda script: chosen)
    found = bench("gpu")
    outcomes = {row["part"]: row["outcome"] for row in found["rows"]}
    assert outcomes["memory"] == "done"
    assert "ValueError" in outcomes["train"]
    assert found["parts"]["memory"]["benchmark"] == "memory"
    assert "train" not in found["parts"]


def test_its_parts_are_benchmarks_with_these_options() -> None:
    for words in gpu.parts(Path("script.py")).values():
        assert words[0] in command.NAMES
