"""docs/votes.md: its tables come from the benchmark; simulated raters recover the order that they have."""

import argparse
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import votes
from laureate.core.errors import LaureateError
from laureate.formats.vote_file import COLUMNS


def test_the_benchmark_writes_both_tables_between_the_marks(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votes, "ROUNDS", (1, 30))
    monkeypatch.setattr(votes, "ACCURACIES", (0.6, 0.9))
    monkeypatch.setattr(votes, "RATERS", ((2, 1, 0.0),))
    page = tmp_path / "votes.md"
    shutil.copy(root / "docs/votes.md", page)
    votes.run(argparse.Namespace(page=page, runs=3))
    text = page.read_text(encoding="utf-8")
    assert "| accuracy on neighbours | 21 votes | 630 votes |" in text
    assert re.search(r"^\| 90 % \| \d+ % \| 100 % \|$", text, re.MULTILINE)
    assert re.search(r"^\| 2 \| 21 \| 0\.0 \| \d+ % \| \d+ % \|$", text, re.MULTILINE)
    outside = votes.MARKS.sub("", text)
    assert outside == votes.MARKS.sub("", (root / "docs/votes.md").read_text(encoding="utf-8"))
    page.write_text("nothing")
    with pytest.raises(LaureateError, match="has no part between"):
        votes.run(argparse.Namespace(page=page, runs=3))


def test_the_page_shows_orders_recovered_in_95_of_100_runs_and_names_every_column(root: Path) -> None:
    text = (root / "docs/votes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) % \|(.*)\|$", text, re.MULTILINE)
    shares = {int(name): [int(share) for share in re.findall(r"(\d+) %", cells)] for name, cells in rows}
    assert sorted(shares) == [round(100 * accuracy) for accuracy in votes.ACCURACIES]
    for cells in shares.values():
        assert len(cells) == len(votes.ROUNDS)
        assert cells[-1] >= cells[0]
    assert max(shares[70]) >= 95
    described = "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    assert [name for name in COLUMNS if f"`{name}`" not in described] == []
