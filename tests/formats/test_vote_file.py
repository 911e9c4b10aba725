"""Vote files: what the page saves is read, and everything else is one sentence."""

from pathlib import Path

import numpy as np
import pytest
from vote_files import as_csv

from benchmarks.votes import simulated
from laureate.core.errors import LaureateError
from laureate.formats import vote_file

HEADER = "study,rater,prompt,seed,left,right,choice,seconds"
GOOD = "abc,Ann,p1,1001,rank-4,rank-8,left,2.5"


def saved(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    votes = simulated([0.0, 1.0, 2.0], 2, 2, np.random.default_rng(0))
    path = tmp_path / "votes.csv"
    path.write_text(as_csv(votes))
    assert vote_file.read(path) == votes


def test_quotes_blank_lines_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, "\ufeff" + HEADER, "", GOOD.replace("Ann", '"Ann, the ""first"""'))
    (vote,) = vote_file.read(path)
    assert (vote.rater, vote.seed, vote.choice, vote.seconds) == ('Ann, the "first"', 1001, "left", 2.5)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "has other columns than study, rater, "),
        (["a,b", "1,2"], "has other columns than study, rater, "),
        ([HEADER], "holds no vote; vote first"),
        ([HEADER, GOOD, GOOD + ",7"], "vote 2 has 9 values instead of 8"),
        ([HEADER, GOOD.replace("Ann", "")], "vote 1 lacks rater"),
        ([HEADER, GOOD.replace("left,", "up,")], "choice is 'up', not one of left, right, tie"),
        ([HEADER, GOOD.replace("rank-8", "rank-4")], "compares rank-4 with itself"),
        ([HEADER, GOOD.replace("1001", "one")], "seed and seconds must be numbers"),
        ([HEADER, GOOD.replace("2.5", "nan")], "seconds is nan, not a number from 0"),
        ([HEADER, GOOD.replace("Ann", '"Ann')], "is no CSV"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(LaureateError, match=sentence) as caught:
        vote_file.read(saved(tmp_path, *lines))
    assert "votes.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match=r"none\.csv does not exist; save it again from the report page"):
        vote_file.read(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\0")
    with pytest.raises(LaureateError, match=r"picture\.csv is not UTF-8 text"):
        vote_file.read(tmp_path / "picture.csv")


def test_votes_of_two_studies_and_votes_given_twice_are_refused(tmp_path: Path) -> None:
    one = saved(tmp_path, HEADER, GOOD, GOOD.replace("p1", "p2"))
    other = tmp_path / "other.csv"
    other.write_text(f"{HEADER}\n{GOOD.replace('abc', 'def')}\n")
    with pytest.raises(LaureateError, match=r"other.csv has votes on the pictures of study def, .*of\s+abc"):
        vote_file.read_all([one, other])
    other.write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(LaureateError, match=r"other.csv and \S+votes.csv hold the same vote by Ann"):
        vote_file.read_all([one, other])
    other.write_text(f"{HEADER}\n{GOOD.replace('Ann', 'Ben')}\n")
    assert [vote.rater for vote in vote_file.read_all([one, other])] == ["Ann", "Ann", "Ben"]
