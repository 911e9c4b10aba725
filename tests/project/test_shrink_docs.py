"""The benchmark shrink on a small study, and its part of docs/ranks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import harness, shrink
from laureate.embedded.oracle import ranks_page
from laureate.evaluation import scores


def row(rank: int, budget: str, difference: float, p: float) -> dict[str, Any]:
    found: dict[str, Any] = {"rank": rank, "budget": budget, "kept": 0.5, "key": "kid", "score": "KID"}
    found |= {"trained": 0.1, "cut": 0.1 + difference, "uncut": 0.05, "difference_p": p, "to_uncut_p": p}
    for key in ("difference", "to_uncut"):
        found |= {key: difference, f"{key}_low": difference - 0.01, f"{key}_high": difference + 0.01}
    return found


def test_the_part_in_docs_is_made_from_the_result_beside_it(root: Path) -> None:
    result = harness.read(root / harness.RESULTS / "shrink-embedded-cpu.json")
    page = (root / ranks_page.PAGE).read_text(encoding="utf-8")
    assert ranks_page.with_part(page, "shrink", shrink.part(result)) == page
    assert result["options"]["quick"] is False
    assert {row["budget"] for row in result["measured"]} <= set(shrink.BUDGETS)
    assert {row["rank"] for row in result["measured"]} == {4, 8, 16, 32, 64}


def test_p_values_are_corrected_within_a_budget() -> None:
    rows = [row(4, "layer", 0.1, 0.01), row(8, "layer", 0.1, 0.04), row(4, "global", 0.1, 0.04)]
    found = {(one["rank"], one["budget"]): one["p_holm"] for one in shrink.corrected(rows)}
    assert found == {(4, "layer"): 0.02, (8, "layer"): 0.04, (4, "global"): 0.04}
    assert [found[4, "layer"], found[8, "layer"]] == scores.holm([0.01, 0.04])


def test_differences_beyond_chance_are_said_by_their_sign() -> None:
    rows = [row(4, "layer", -0.1, 0.001), row(8, "layer", 0.1, 0.002), row(16, "layer", 0, 0.5)]
    text = shrink.part({"measured": shrink.corrected(rows), "large": 128, "pictures": 98, "portraits": 34})
    assert (
        "nearer than the rank trained alone beyond chance in 1 of 3 rows (KID: 4); farther in 1 (KID: 8)"
        in text
    )
    assert "rank 4 is the smallest that is by no score farther than the uncut rank 128" in text
    assert "| 4 | 50.0 % | KID | 0.1000 | 0.0000 | −0.1000 (−0.1100 to −0.0900) | 0.003 |" in text
    text = shrink.part(
        {"measured": shrink.corrected(rows[1:2]), "large": 128, "pictures": 98, "portraits": 34}
    )
    assert "by some score every rank is farther than the uncut rank 128" in text
