"""What a plan has counted before is not counted again, and operations are derived once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_base
import torch
from processes import imported

from laureate.commands import cost_model, operation_counts, plan, plan_cache
from laureate.config import params
from laureate.networks.diffusion import base_model


def test_a_shape_that_was_counted_before_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same lines, without torch; another batch is counted, another number of steps is not."""
    small_base.study(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan.run(params.load())
    first, kept = capsys.readouterr().out, Path(".work/plan.json").read_bytes()
    assert imported("plan") == set()
    assert Path(".work/plan.json").read_bytes() == kept
    monkeypatch.setattr(cost_model, "training", None)  # it cannot be called
    plan.run(params.load())
    assert capsys.readouterr().out == first
    loaded = params.load()
    longer = loaded.model_copy(
        update={"train": loaded.train.model_copy(update={"steps": 99, "epochs": None})}
    )
    plan.run(longer)
    assert "99 updates" in capsys.readouterr().out
    larger = loaded.model_copy(update={"train": loaded.train.model_copy(update={"batch": 3})})
    with pytest.raises(TypeError, match="not callable"):
        plan.run(larger)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"a": 1}'])
def test_counts_that_cannot_be_read_are_made_again(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    cache = plan_cache.PlanCache(file)
    assert cache.value("one", {"side": 8}, lambda: 5) == 5
    assert cache.value("one", {"side": 8}, lambda: 6) == 5
    assert cache.value("one", {"side": 9}, lambda: 6) == 6
    cache.save()
    assert plan_cache.PlanCache(file).value("one", {"side": 8}, lambda: 7) == 5


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_operations_that_are_derived_once_count_as_those_that_run_each_time(
    tmp_path: Path, part: str
) -> None:
    """Bytes against `LiveBytes` alone, operations against torch's counter alone; twice, as the first fills
    what the second takes."""
    small = small_base.write(tmp_path / "base")
    given = {one: json.loads((small / one / "config.json").read_text()) for one in base_model.WEIGHTS}
    net = cost_model.model(given, part, torch.float32)
    tokens = torch.zeros(2, cost_model.TOKENS, dtype=torch.int64, device="meta")
    text = torch.empty(2, cost_model.TOKENS, given["text_encoder"]["hidden_size"], device="meta")
    latents = torch.empty(2, given["unet"]["in_channels"], 8, 8, device="meta", requires_grad=True)

    def work() -> None:
        if part == "unet":
            net(latents, torch.zeros(2, dtype=torch.long, device="meta"), text).sample.sum().backward()
        elif part == "vae":
            net.decode(latents).sample.sum().backward()
        else:
            net(tokens)

    held = [*net.parameters(), *net.buffers()]
    with operation_counts.LiveBytes(held) as live:
        work()
    with operation_counts.counter() as flops:
        work()
    for _ in range(2):
        with operation_counts.CountedOnce(held) as counted:
            work()
        assert (counted.peak, counted.large_at_peak) == (live.peak, live.large_at_peak)
        assert counted.flops == flops.get_total_flops() > 0
