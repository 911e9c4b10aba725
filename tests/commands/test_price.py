"""What every rank costs: file, training, memory and seconds a picture, beside the table's scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from laureate.commands import price
from laureate.comparison import results_table
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.reporting import price_charts

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def table_of(rows: dict[str, dict[str, float]]) -> object:
    """A comparison table with these scores, and none else."""
    counts = dict.fromkeys(results_table.COUNTS, 4)
    empty = dict.fromkeys(results_table.METRICS, None)
    return results_table.from_metrics({name: empty | counts | values for name, values in rows.items()})


def estimate(key: str, value: float, half: float) -> dict[str, float]:
    return {key: value, f"{key}_low": value - half, f"{key}_high": value + half}


@pytest.fixture
def study(trained: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """A study of rank 2 as training leaves it, and a table."""
    working_copy(trained)
    loaded = params.load()
    rows = {"rank-2": estimate("kid", 0.5, 0.1) | estimate("leak", 0.25, 0.1)}
    write_text(paths.COMPARISON, results_table.to_csv(table_of(rows)))
    return loaded.model_copy(update={"ranks": [2]})


def test_training_records_what_it_costs(study: params.Params) -> None:
    machine = json.loads(paths.machine_file(2).read_text())
    cost = machine["training"]
    assert cost["ranks"] == [2, 4]  # those of the study, in one run
    assert cost["steps"] == study.train.steps
    assert 0 < cost["seconds"] < 600
    assert cost["peak_memory"] > 50e6  # a process with torch in it


def test_the_price_of_a_rank(study: params.Params, capsys: pytest.CaptureFixture[str]) -> None:
    price.run(study, pictures=1, json_file="price.json")
    (row,) = json.loads(Path("price.json").read_text())
    weights = paths.adapter_folder(2) / paths.ADAPTER_WEIGHTS
    assert (row["rank"], row["file_bytes"]) == (2, weights.stat().st_size)
    assert row["seconds_a_picture"] > 0
    machine = json.loads(paths.machine_file(2).read_text())
    assert row["training_seconds"] == machine["training"]["seconds"]
    assert row["scores"] == {"kid": 0.5, "leak": 0.25}
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "rank",
        "file",
        "training",
        "peak",
        "memory",
        "a",
        "picture",
        "KID",
        "↓",
        "Leak",
        "↓",
    ]
    assert line.endswith("25 % (15–35)")


def test_what_an_older_training_did_not_record_is_left_empty(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = json.loads(paths.machine_file(2).read_text())
    del machine["training"]
    paths.machine_file(2).write_text(json.dumps(machine))
    price.run(study, pictures=0)
    assert capsys.readouterr().out.splitlines()[1].split()[3:6] == ["–", "–", "–"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: paths.machine_file(2).write_text("no"), r"rank-2\.json is damaged"),
        (
            lambda: (paths.adapter_folder(2) / paths.ADAPTER_WEIGHTS).unlink(),
            r"run `laureate train --rank 2`",
        ),
        (paths.COMPARISON.unlink, r"comparison\.csv does not exist; run `laureate compare` first"),
        (
            lambda: write_text(paths.COMPARISON, results_table.to_csv(table_of({"rank-4": {}}))),
            "no row rank-2",
        ),
    ],
)
def test_what_is_missing_is_named(study: params.Params, spoil: Callable[[], object], message: str) -> None:
    spoil()
    with pytest.raises(LaureateError, match=message):
        price.run(study, pictures=0)


def test_below_zero_pictures_are_refused(study: params.Params) -> None:
    with pytest.raises(LaureateError, match="--pictures -1 is below 0"):
        price.run(study, pictures=-1)


def test_the_pareto_front_has_what_nothing_beats() -> None:
    costs, distances = np.array([1.0, 2.0, 3.0, 2.0]), np.array([3.0, 1.0, 2.0, 1.0])
    assert price_charts.front(costs, distances) == [True, True, False, True]


def test_the_chart_shows_every_adapter_and_the_same_bytes_each_time() -> None:
    rows = {
        f"rank-{rank}": estimate("kid", 1 / rank, 0.01) | estimate("drift", rank / 10, 0.05)
        for rank in (4, 8)
    }
    found = table_of({"baseline": estimate("kid", 1, 0.1), **rows, "rank-16": estimate("kid", 0.02, 0.01)})
    drawn = [price_charts.pareto(found, {"rank-4": 10**5, "rank-8": 2 * 10**5}) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("<?xml")
    assert "<svg" in price_charts.pareto(table_of({"baseline": {}}), {})  # nothing to show is no error
