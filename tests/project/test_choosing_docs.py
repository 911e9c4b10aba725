"""docs/choosing.md: its tables come from the benchmarks; planted truths are found in nine studies of ten."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

import pytest
from drawn_study import draw_study

from benchmarks import choosing, planted_choices, planted_outcomes, tuned
from laureate.core.errors import LaureateError
from laureate.core.files import write_json


def test_the_benchmark_writes_its_tables_between_the_marks(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {
        "tie": lambda: planted_choices.Plan(dict.fromkeys(planted_choices.candidates(2, 1, 1), 0.5)),
        "another rate": planted_outcomes.PLANS["another rate"],
    }
    monkeypatch.setattr(choosing, "PLANS", few)
    monkeypatch.setattr(choosing, "FLATTERED", tuple(few))
    monkeypatch.setattr(planted_outcomes, "RANKS", {4: few["tie"], 16: few["tie"]})
    page = tmp_path / "choosing.md"
    shutil.copy(root / "docs/choosing.md", page)
    choosing.run(argparse.Namespace(page=page, studies=3))
    text = page.read_text(encoding="utf-8")
    assert re.search(r"^\| tie \| \d+ % \| \d+ % \| 100 % \|$", text, re.MULTILINE)
    assert re.search(r"^\| another rate \| \d+ % \| \d+ % \| \d\d % \|$", text, re.MULTILINE)
    assert choosing.MARKS.sub("", text) == choosing.MARKS.sub("", (root / "docs/choosing.md").read_text())
    page.write_text("nothing")
    with pytest.raises(LaureateError, match="has no part between"):
        choosing.run(argparse.Namespace(page=page, studies=3))


def test_the_page_says_that_nine_in_ten_are_right_in_a_hundred_studies_or_more(root: Path) -> None:
    found = choosing.MARKS.search((root / "docs/choosing.md").read_text(encoding="utf-8"))
    assert found
    said = re.search(r"(\d+) studies of each kind", found[0])
    assert said
    assert int(said[1]) >= 100
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) % \| (\d+) % \| \d+ % \|$", found[0], re.MULTILINE)
    assert [name for name, _, _ in rows] == list(planted_outcomes.PLANS)
    for name, right, naive in rows:
        assert int(right) >= 90, name
        assert int(naive) >= 80 or name != "tie", "ties are the naive choice's, but for luck in two tests"


def choice(rank: int) -> dict[str, object]:
    """What `laureate choose` writes of a race of two rates and two steps."""
    naive = {"learning_rate": 1e-3, "step": 240, "strength": 1.0}
    rows = [
        {"learning_rate": rate, "step": step, "strength": 1.0, "loss": loss, "score": score, "out": None}
        for rate, step, loss, score in (
            (1e-3, 240, 0.27, 0.2), (1e-3, 80, 0.30, 0.4), (3e-3, 240, 0.26, 0.1), (3e-3, 80, 0.25, 0.15)
        )
    ]  # fmt: skip
    gain = {"value": 0.1, "low": 0.02, "high": 0.18, "p": 0.01}
    rounds = [
        {"by": "held-out loss", "prompts": 0, "pictures": 0, "candidates": rows},
        {"by": "pictures", "prompts": 12, "pictures": 60, "candidates": rows},
    ]
    return {
        **naive, "learning_rate": 3e-3, "rank": rank, "naive": naive, "candidates": 4, "last_step": 240,
        "gain": gain, "apparent_gain": gain, "more_training": "helps", "failed": [], "steps": [],
        "base_loss": 0.45, "rounds": rounds,
    }  # fmt: skip


def test_two_studies_are_put_side_by_side(root: Path, tmp_path: Path) -> None:
    studies = [tmp_path / name for name in ("default", "tuned")]
    for folder in studies:
        draw_study(folder, prompts=2, train=2, holdout=2)
        (folder / "metrics").mkdir(exist_ok=True)
        for name in ("comparison.csv", "adviser.json"):
            shutil.copy(root / "metrics" / name, folder / "metrics" / name)
    for rank in (4, 16):
        write_json(studies[1] / f"metrics/choices/rank-{rank}.json", choice(rank))
    text = tuned.section(*studies)
    assert "| 16 | 0.003 | 240 | 1 | 4 | 60 | 10.0 (2.0 to 18.0) | 10.0 (2.0 to 18.0) | helps |" in text
    assert "| 4 | 4 | +0.67 | 0.003, step 240 | 0.003, step 80 | 5.0 |" in text
    assert "The advice is the same: rank" in text
    assert "0 with 0.1" in text
    page = tmp_path / "choosing.md"
    shutil.copy(root / "docs/choosing.md", page)
    tuned.run(argparse.Namespace(page=page, default=studies[0], tuned=studies[1]))
    assert text in page.read_text(encoding="utf-8")
