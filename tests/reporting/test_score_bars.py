"""Bars in the table of scores, and the names and lists of the gallery."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.comparison import results_table
from laureate.evaluation import score_catalog
from laureate.reporting import gallery, score_bars


def test_every_value_lies_on_its_bar_and_the_adapters_fill_the_line(drawn_report: Path) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    spanning = [name for name in table.index if name != results_table.BASELINE]
    for score in results_table.scores_with_values(table):
        found = score_bars.bars(table, score)
        assert list(found) == list(table.index[table[score.key].notna()])
        for model, bar in found.items():
            assert 0 <= bar.low <= bar.low + bar.wide <= 100.1
            if not bar.beyond:
                assert bar.low - 0.11 <= bar.at <= bar.low + bar.wide + 0.11, (score.key, model)
        inside = [found[name] for name in spanning if name in found]
        assert min(bar.low for bar in inside) == 0
        assert max(bar.low + bar.wide for bar in inside) == pytest.approx(100, abs=0.2)
        assert not any(bar.beyond for bar in inside)


def test_the_base_lies_beyond_the_end_where_it_is_far_off(drawn_report: Path) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    kid = score_catalog.SCORES[0]
    assert score_bars.bars(table, kid)["baseline"].beyond == "right"
    assert score_bars.bars(table.loc[["baseline"]], kid)["baseline"].beyond == ""
    assert score_bars.bars(table.assign(kid_imagenet=pd.NA), kid) == {}
    none = pd.Series(pd.NA, index=table.index, dtype="Float64")
    no_ends = table.assign(kid_imagenet_low=none, kid_imagenet_high=none)
    assert all(bar.wide == 0 for bar in score_bars.bars(no_ends, kid).values())


@given(st.lists(st.integers(), max_size=30), st.integers(0, 40))
def test_a_spread_is_in_order_and_begins_with_the_first(items: list[int], count: int) -> None:
    found = gallery.spread(list(enumerate(items)), count)
    assert len(found) == min(len(items), count)
    assert found == sorted(found)
    assert found[:1] == list(enumerate(items))[: min(1, count)]


def test_a_study_is_named_by_what_it_is_made_from() -> None:
    name = gallery.study_name({"base": ["b", 1], "rank-4": "x"})
    assert name == gallery.study_name({"rank-4": "x", "base": ["b", 1]})
    assert name != gallery.study_name({"rank-4": "y", "base": ["b", 1]})
    assert len(name) == 12
