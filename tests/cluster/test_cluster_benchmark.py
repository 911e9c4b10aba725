"""`python -m benchmarks cluster`: the simulation keeps its promises, and the measurement runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import cluster, harness
from laureate.core.errors import LaureateError


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 40))
def test_no_study_is_faster_than_its_parts(styles: int, ranks: int, seeds: int, gpus: int) -> None:
    load = cluster.Load()
    row = cluster.simulate(load, styles, ranks, seeds, gpus)
    seconds = 3600 * row["hours"]
    models = ranks + 1
    chain = 3 * load.start + ranks * load.train + load.sample + load.evaluate
    work = load.start * (1 + 2 * models) + ranks * load.train + models * (load.sample + load.evaluate)
    assert seconds >= chain
    assert seconds >= styles * seeds * work / gpus
    assert 0 < row["busy"] <= 100 + 1e-9
    assert max(row["remote"], row["driver"]) <= 100 + 1e-9


def test_a_narrow_remote_and_a_slow_driver_are_named() -> None:
    load = cluster.Load()
    assert cluster.simulate(load, 50, 6, 5, 2)["limit"] == "GPUs"
    assert cluster.simulate(replace(load, bandwidth=1e7), 50, 6, 5, 64)["limit"] == "remote"
    assert cluster.simulate(replace(load, driver=5.0), 50, 6, 5, 64)["limit"] == "driver"


def test_times_of_a_run_replace_the_assumed_ones() -> None:
    load = cluster.from_times(
        cluster.Load(), {"train@rank-4": 8.0, "train@rank-8": 2.0, "sample-baseline": 3.0}
    )
    assert (load.train, load.sample) == (5.0, 3.0)
    assert load.evaluate == cluster.Load().evaluate


def test_the_table_of_the_page_is_that_of_the_command(root: Path, tmp_path: Path) -> None:
    rows = [cluster.simulate(cluster.Load(), 1000, 6, 5, 512)]
    line = harness.table(rows, cluster.SIMULATED, markdown=True).splitlines()[-1]
    assert line in (root / "docs/cluster.md").read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- simulation -->\nold\n<!-- /simulation -->\nafter\n")
    cluster.write_page("new", page)
    assert page.read_text() == "before\n<!-- simulation -->\nnew\n<!-- /simulation -->\nafter\n"
    page.write_text("nothing\n")
    with pytest.raises(LaureateError, match="has no <!-- simulation -->"):
        cluster.write_page("new", page)


@pytest.mark.slow
def test_both_ways_run_every_stage_on_this_host(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    assert command.main(["cluster", "--quick", "--gpus", "8", "--out", str(out)]) == 0
    rows = harness.read(out)["rows"]
    assert [(row["way"], row["stages"]) for row in rows] == [("dvc repro", 4), ("laureate cluster", 4)]
