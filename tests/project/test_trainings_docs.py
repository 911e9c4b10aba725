"""The benchmark trainings: two studies whose truth is known, and its part of docs/ranks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness, trainings
from laureate.config import params as config
from laureate.core.errors import LaureateError
from laureate.embedded.oracle import ranks_page
from laureate.evaluation import scores


def row(rank: int, difference: float, p: float) -> dict[str, Any]:
    found: dict[str, Any] = {"rank": rank, "key": "kid", "score": "KID", "once": 0.1, "p": p}
    return found | {
        "several": 0.1 + difference,
        "difference": difference,
        "low": difference - 0.01,
        "high": difference + 0.01,
    }


def test_the_part_in_docs_is_made_from_the_result_beside_it(root: Path) -> None:
    result = harness.read(root / harness.RESULTS / "trainings-embedded-cpu.json")
    page = (root / ranks_page.PAGE).read_text(encoding="utf-8")
    assert ranks_page.with_part(page, "trainings", trainings.part(result)) == page
    assert result["studies"]["several"]["samples"] == result["studies"]["once"]["samples"]


def test_what_was_measured_leads_to_the_default(root: Path) -> None:
    """Several trainings beside one for as long (trainings), then as many with less work (budgets)."""
    several = harness.read(root / harness.RESULTS / "trainings-embedded-cpu.json")["studies"]["several"]
    budgets = harness.read(root / harness.RESULTS / "budgets-embedded-cpu.json")["rows"]
    default = config.load(root / "params.yaml").train
    recipe = ("steps", "batch", "learning_rate", "seeds")
    assert [budgets[0][key] for key in recipe] == [several[key] for key in recipe]
    wanted = [default.steps, default.batch, default.learning_rate, len(default.seeds)]
    assert [budgets[-1][key] for key in recipe] == wanted


def test_differences_beyond_chance_are_said_by_their_sign() -> None:
    rows = trainings.corrected([row(4, -0.1, 0.0001), row(8, 0.1, 0.002), row(16, 0, 0.5)])
    assert [one["p_holm"] for one in rows] == scores.holm([0.0001, 0.002, 0.5])
    study = {"seeds": 1, "steps": 6, "batch": 2, "learning_rate": 0.1, "samples": 12}
    studies = {"once": study, "several": study | {"seeds": 3, "steps": 2}}
    text = trainings.part({"measured": rows, "studies": studies, "pictures": 98, "portraits": 34})
    assert "nearer in 1 of 3 rows (rank 4 by KID)" in text
    assert "farther in\n1 (rank 8 by KID)" in text
    assert "| 4 | KID | 0.1000 | 0.0000 | −0.1000 (−0.1100 to −0.0900) | < 0.001 |" in text


def test_studies_that_cannot_be_compared_are_refused(root: Path) -> None:
    several = config.load(root / "params.yaml")
    once = several.model_copy(update={"train": several.train.model_copy(update={"seeds": [42]})})
    trainings.check({"once": once, "several": several})
    with pytest.raises(LaureateError, match="1 training seeds and --several one with 1"):
        trainings.check({"once": once, "several": once})
    other = once.model_copy(update={"ranks": [4]})
    with pytest.raises(LaureateError, match="differ in the parameters `ranks`"):
        trainings.check({"once": other, "several": several})
