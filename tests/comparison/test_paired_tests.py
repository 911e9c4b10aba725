"""Marks from paired tests, and the file of differences; test_compare has tests on evidence."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from laureate.comparison import paired_tests
from laureate.core.errors import LaureateError


def difference(model: str, against: str, p_holm: float, score: str = "kid") -> dict[str, Any]:
    names = {"score": score, "model": model, "against": against, "role": "best", "n": 98}
    return names | {"value": 0.1, "low": 0.0, "high": 1e-05, "p": p_holm / 2, "p_holm": p_holm}


def test_a_best_value_is_best_only_where_it_differs_from_every_other() -> None:
    clear = [difference("baseline", "rank-4", 0.001), difference("rank-8", "rank-4", 0.05)]
    close = [
        difference("baseline", "rank-4", 0.001, "fid"),
        difference("rank-8", "rank-4", 0.051, "fid"),
    ]
    against_baseline = difference("rank-4", "baseline", 1.0, "clip") | {"role": "baseline"}
    table = paired_tests.differences_table([*clear, *close, against_baseline])
    assert paired_tests.marks(table) == {
        ("kid", "rank-4"): "best",
        ("fid", "rank-4"): "tied",
        ("fid", "rank-8"): "tied",
    }
    assert paired_tests.marks(paired_tests.differences_table([])) == {}


def test_the_bytes_of_the_differences_and_that_they_read_back(tmp_path: Path) -> None:
    rows = [difference("rank-8", "a, b", 0.05), difference("x", "y", 1.0) | {"low": float("nan")}]
    table = paired_tests.differences_table(rows)
    text = paired_tests.to_csv(table)
    assert text == (
        "score,model,against,role,n,value,low,high,p,p_holm\n"
        'kid,rank-8,"a, b",best,98,0.1,0.0,1e-05,0.025,0.05\n'
        "kid,x,y,best,98,0.1,nan,1e-05,0.5,1.0\n"
    )
    (tmp_path / "differences.csv").write_text(text)
    read = paired_tests.read_csv(tmp_path / "differences.csv")
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    assert paired_tests.to_csv(read) == text


def test_differences_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match=r"differences\.csv does not exist; run `laureate compare` first"):
        paired_tests.read_csv(tmp_path / "differences.csv")
    (tmp_path / "differences.csv").write_text("score,model\nkid,rank-4\n")
    with pytest.raises(LaureateError, match=r"differences\.csv has other columns"):
        paired_tests.read_csv(tmp_path / "differences.csv")
