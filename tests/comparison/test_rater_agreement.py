"""Agreement between raters: the textbook's example, perfect, by chance, and too little of it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.votes import simulated
from laureate.comparison import rater_agreement
from laureate.formats.vote_file import Vote

# four observers, twelve units, values 1 to 5, 0: missing (Krippendorff 2011, Computing Krippendorff's
# Alpha-Reliability, example C)
TEXTBOOK = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]


def test_alpha_is_that_of_the_textbook() -> None:
    columns = np.array(TEXTBOOK, dtype=float).T
    units = [column[column > 0] for column in columns if (column > 0).sum() > 1]
    assert rater_agreement.alpha(units) == pytest.approx(0.849, abs=0.0005)


def pairs(choices: list[tuple[str, str]]) -> list[Vote]:
    return [
        Vote("s", rater, f"p{number}", 1, "a", "b", choice, 1.0)  # type: ignore[arg-type]
        for number, both in enumerate(choices)
        for rater, choice in zip(("ann", "ben"), both, strict=True)
    ]


def test_raters_who_always_prefer_the_same_agree_perfectly() -> None:
    found = rater_agreement.agreement(pairs([("left", "left")] * 6))
    assert found is not None
    assert (found.alpha, found.low, found.high, found.comparisons, found.raters) == (1.0, 1.0, 1.0, 6, 2)


def test_raters_who_contradict_each_other_are_below_chance() -> None:
    found = rater_agreement.agreement(pairs([("left", "right")] * 6))
    assert found is not None
    assert found.alpha < -0.8


def test_a_tie_is_nearer_to_a_choice_than_its_opposite_is() -> None:
    near = rater_agreement.agreement(pairs([("left", "left")] * 4 + [("left", "tie")] * 2))
    far = rater_agreement.agreement(pairs([("left", "left")] * 4 + [("left", "right")] * 2))
    assert near is not None
    assert far is not None
    assert far.alpha < near.alpha < 1


def test_sides_have_no_part_in_it() -> None:
    votes = simulated([0.0, 1.0, 2.0], 3, 2, np.random.default_rng(0))
    other = {"left": "right", "right": "left", "tie": "tie"}
    swapped = [replace(v, left=v.right, right=v.left, choice=other[v.choice]) for v in votes]  # type: ignore[arg-type]
    assert rater_agreement.agreement(votes) == rater_agreement.agreement(swapped)


def test_guessing_gives_0_and_a_clear_order_much() -> None:
    def of(strengths: list[float]) -> float:
        votes = simulated(strengths, 4, 9, np.random.default_rng(2))
        found = rater_agreement.agreement(votes, draws=50)
        assert found is not None
        assert found.low <= found.alpha <= found.high
        return found.alpha

    assert abs(of([0.0, 0.0, 0.0, 0.0])) < 0.15
    assert of([-4.0, 0.0, 4.0, 8.0]) > 0.8


def test_without_common_comparisons_there_is_none() -> None:
    votes = pairs([("left", "left")] * 3)
    assert rater_agreement.agreement([vote for vote in votes if vote.rater == "ann"]) is None
    assert rater_agreement.agreement(pairs([("left", "left")])) is None
    assert rater_agreement.agreement(pairs([("tie", "tie")] * 3)) is None
