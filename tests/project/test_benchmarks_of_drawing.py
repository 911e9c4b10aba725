"""The benchmarks of steps and guidance, and of work beside a busy core, on little work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_base

torch = pytest.importorskip("torch")

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import guidance, harness  # noqa: E402
from laureate.config.params import Sample  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.evaluation import scores  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.usefixtures("warm_python")
def test_a_step_and_a_drawing_beside_a_busy_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    out, base = tmp_path / "busy.json", small_base.write(tmp_path / "base")
    words = ["busy", "--quick", "--base", str(base), "--repeats", "2", "--out", str(out), "--threads", "1"]
    assert command.main([*words, "--ranks", "2", "4"]) == 0
    rows = harness.read(out)["rows"]
    assert [row["what"] for row in rows] == ["training step", "drawing"]
    assert all(row["threads"] == 1 and row["slower"] > 0.1 for row in rows)


def test_a_setting_is_read_and_put_into_the_parameters() -> None:
    setting = guidance.Setting.of("8:0.4:0.9")
    sample = setting.on(Sample(seeds=[3]), "float32")
    assert (sample.steps, sample.guidance_interval, sample.precision) == (8, [0.4, 0.9], "float32")
    assert sample.seeds == [3]
    for wrong in ("8", "8:0.4", "a:0:1", "8:0:1:2"):
        with pytest.raises(LaureateError, match="is no setting: write STEPS:LOWEST:HIGHEST"):
            guidance.Setting.of(wrong)


def test_a_difference_is_marked_where_its_interval_leaves_out_zero() -> None:
    """Pairs of equal pictures differ by nothing, better ones by more than chance."""
    prompts = [f"p{number // 2}" for number in range(40)]
    source = np.random.default_rng(0)
    values = source.normal(size=40)
    first = {"clip": scores.mean_over_pictures(values)}
    resamples = scores.resample(prompts, 3, 200, 1)

    def of(shift: Any) -> dict[str, Any]:
        return guidance.seen({"clip": scores.mean_over_pictures(values + shift)}, first, resamples)

    same, better = of(source.normal(size=40) * 1e-3), of(0.5)
    assert "*" not in same["clip"]
    assert better["clip"].endswith("*")
    assert better["clip_value"] == pytest.approx(0.5)
    assert guidance.seen(first, None, resamples)["clip"] == f"{values.mean():.4f}"
