"""Other styles and numbers of portraits: the drawn styles, rules of thumb, the benchmark on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import drawn_styles, harness, other_styles, rank_rules
from laureate.config import params
from laureate.embedded.oracle import ranks_page
from laureate.simulator.portraits import attributes

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STYLES, SIZES, RANKS = ["a", "b", "c"], [15, 60], [4, 16]


@pytest.mark.parametrize("style", drawn_styles.STYLES)
def test_a_style_is_the_same_for_the_same_person_and_unlike_the_others(style: str) -> None:
    who = attributes.random_attributes(np.random.default_rng(3))
    pixels = drawn_styles.draw(who, style, 3)
    assert (pixels.shape, pixels.dtype) == ((128, 128, 3), np.uint8)
    np.testing.assert_array_equal(pixels, drawn_styles.draw(who, style, 3))
    for other in drawn_styles.STYLES.keys() - {style}:
        away = np.abs(pixels.astype(int) - drawn_styles.draw(who, other, 3)).mean()
        assert away > 20, other


@given(st.dictionaries(st.tuples(*map(st.sampled_from, (STYLES, SIZES, RANKS))), st.floats(0, 0.2)))
def test_a_rule_chosen_on_all_hits_as_often_as_any_rank(some: dict[tuple[str, int, int], float]) -> None:
    excess = {(a, n, r): some.get((a, n, r), 0.0) for a in STYLES for n in SIZES for r in RANKS}
    fixed = [rank_rules.hits(excess, lambda _, of=rank: of, STYLES, SIZES) for rank in RANKS]  # type: ignore[misc]
    one, by_size = (
        rank_rules.hits(excess, choose(excess, STYLES, SIZES, RANKS), STYLES, SIZES)
        for choose in (rank_rules.one_rank, rank_rules.rank_by_size)
    )
    assert one == max(fixed)
    assert by_size >= one


def test_a_rule_is_tried_on_a_style_that_it_was_not_chosen_on() -> None:
    """Rank 4 is good for a and b, rank 16 for c alone: chosen on two of them, the style left out is hit for a
    and b."""
    good = {"a": 4, "b": 4, "c": 16}
    excess = {(s, n, r): 0.0 if good[s] == r else 0.5 for s in STYLES for n in SIZES for r in RANKS}
    # left out a: b says 4, c says 16, a tie in hits and loss, which the smaller rank wins
    assert rank_rules.left_out(rank_rules.one_rank, excess, STYLES, SIZES, RANKS) == 4
    text = rank_rules.said(excess, STYLES, SIZES, RANKS)
    assert "rank 4. Chosen on the others it hits the style left out in 4 of 6" in text
    assert "**Always rank 16** hits in 2 of 6" in text


def test_what_is_lost_is_a_share_of_the_bases_distance_by_every_judge() -> None:
    distances = {
        "baseline": {"vision": 1.0, "clip": 10.0},
        "rank-4": {"vision": 0.2, "clip": 2.0},
        "rank-16": {"vision": 0.1, "clip": 1.0},
        "rank-64": {"vision": 0.0, "clip": 3.0},
    }
    lost = {4: (0.2 + 0.1) / 2, 16: 0.05, 64: 0.2 / 2}
    assert other_styles.excess_of(distances) == pytest.approx({rank: of - 0.05 for rank, of in lost.items()})
    rows = [of | {"base": distances["baseline"]} for name, of in distances.items() if name != "baseline"]
    assert other_styles.nearer_by(rows) == pytest.approx((1.0 + 0.9) / 2)


@given(
    st.fixed_dictionaries(
        {
            model: st.fixed_dictionaries(dict.fromkeys(("vision", "clip"), st.floats(0.01, 2)))
            for model in ("baseline", "rank-4", "rank-16")
        }
    )
)
def test_a_rank_that_no_judge_finds_farther_is_good_even_where_none_has_learnt(
    distances: dict[str, dict[str, float]],
) -> None:
    excess = other_styles.excess_of(distances)
    assert min(excess.values()) == 0
    assert all(value >= 0 for value in excess.values())
    low, high = distances["rank-4"], distances["rank-16"]
    if all(low[judge] <= high[judge] for judge in low):
        assert excess[4] == 0


def test_the_benchmark_trains_draws_and_writes_its_part(study: params.Params, tmp_path: Path) -> None:
    out, page = tmp_path / "found.json", tmp_path / "ranks.md"
    words = ["other_styles", "--quick", "--ranks", "2", "4", "--out", str(out), "--page", str(page)]
    assert command.main(words) == 0
    result = harness.read(out)
    assert {(row["style"], row["portraits"], row["rank"]) for row in result["rows"]} == {
        (style, n, rank) for style in list(drawn_styles.STYLES)[:2] for n in (15, 30) for rank in (2, 4)
    }
    text = page.read_text(encoding="utf-8")
    assert ranks_page.part_of(text, "styles") == other_styles.part(result).strip()
    times = {path: path.stat().st_mtime_ns for path in other_styles.FOLDER.rglob("*.np?")}
    assert command.main(words) == 0  # nothing is made again
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert page.read_text(encoding="utf-8") == text


def test_the_page_has_a_part_of_styles_exactly_where_there_is_a_result(root: Path) -> None:
    page = (root / ranks_page.PAGE).read_text(encoding="utf-8")
    results = sorted((root / harness.RESULTS).glob("other-styles-*.json"))
    assert len(results) == (ranks_page.part_of(page, "styles") is not None)
    for result in map(harness.read, results):
        assert ranks_page.with_part(page, "styles", other_styles.part(result)) == page
        assert {row["style"] for row in result["rows"]} == set(drawn_styles.STYLES)
        assert {row["portraits"] for row in result["rows"]} == {15, 30, 60}
