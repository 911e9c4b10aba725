"""Candidates, held-out losses between two measurements, and the rounds of a race."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.config.params import Choose, Sample, Train
from laureate.core.errors import LaureateError
from laureate.formats import prompts
from laureate.networks.lora.arm import main_arm
from laureate.sampling.choosing import candidates, cost, gain
from laureate.sampling.choosing.candidates import Candidate


def test_the_naive_candidate_comes_first_and_none_twice() -> None:
    train = Train(learning_rate={4: 1e-3, 8: 3e-3}, learning_rates=[3e-3], snapshots=[80, 240, 160])
    found = candidates.candidates_of(train, Sample(strength=0.9), Choose(strengths=[0.9, 1.2]), 4, 240)
    assert found[0] == Candidate(1e-3, 240, 0.9)
    assert len(set(found)) == len(found) == 2 * 3 * 2
    assert candidates.candidates_of(Train(), Sample(), Choose(), 4, 240) == [Candidate(1e-3, 240, 1.0)]
    own = candidates.candidates_of(train, Sample(), Choose(), 8, 240)
    assert {one.learning_rate for one in own} == {3e-3}
    assert candidates.arms_at(train, 4, 1e-3) == [main_arm(train, 4)]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=2, unique_by=lambda row: row[0]),
    st.data(),
)
def test_a_loss_lies_between_its_neighbours(curve: list[tuple[int, float]], data: st.DataObject) -> None:
    curve = sorted(curve)
    step = data.draw(st.integers(curve[0][0], curve[-1][0]))
    found = candidates.loss_at(curve, step)
    before = max(row for row in curve if row[0] <= step)
    after = min(row for row in curve if row[0] >= step)
    assert min(before[1], after[1]) - 1e-12 <= found <= max(before[1], after[1]) + 1e-12
    assert candidates.loss_at(curve, before[0]) == before[1]
    assert math.isnan(candidates.loss_at(curve, curve[-1][0] + 1))


def test_the_loss_of_a_candidate_is_the_mean_of_its_seeds() -> None:
    curves = {1e-3: [[(0, 1.0), (40, 0.5)], [(0, 1.0), (40, 0.3)]]}
    assert candidates.loss_of(curves, Candidate(1e-3, 20, 1.0)) == pytest.approx(0.7)
    assert math.isnan(candidates.loss_of(curves, Candidate(3e-3, 20, 1.0)))


@pytest.mark.parametrize(
    "text", ["", "step,loss,holdout_loss\n", "step,loss,holdout_loss\n1,2\n", "a\nb,c,d\n"]
)
def test_a_damaged_curve_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "curve.csv").write_text(text)
    with pytest.raises(LaureateError, match=r"curve\.csv is damaged; run `laureate train` again"):
        candidates.read_curve(tmp_path / "curve.csv")


@given(st.integers(4, 40), st.integers(4, 200), st.integers(2, 60))
def test_rounds_double_end_with_all_prompts_and_cost_less_than_all(
    first: int, count: int, known: int
) -> None:
    found = cost.stops(first, count)
    assert found[-1] == count
    assert found == sorted(set(found))
    assert all(after == 2 * before for before, after in pairwise(found[:-1]))
    assert cost.most_pictures(known, first, count, 2) <= 2 * count * (1 + known)
    assert cost.most_pictures(1, first, count, 2) == 0


def test_what_more_steps_do_is_said_where_the_snapshots_show_it() -> None:
    def row(step: int, p: float) -> dict[str, float]:
        return {"step": step, "p": p}

    assert gain.about_steps([row(80, 0.2), row(240, 0.01)], 160, 240) == "hurts"
    assert gain.about_steps([row(80, 0.01), row(240, 0.2)], 160, 240) == "unknown"
    assert gain.about_steps([row(80, 0.5), row(160, 0.01)], 240, 240) == "helps"
    assert gain.about_steps([row(80, 0.01), row(160, 0.3)], 240, 240) == "unknown"
    assert gain.about_steps([], 240, 240) == "unknown"


def test_the_shipped_prompts_are_none_of_the_tables_and_what_the_code_writes(root: Path) -> None:
    from laureate.embedded import prompt_writer

    path = root / "data/prompts-choose.yaml"
    both = prompts.load([root / "data/prompts.yaml", root / "data/prompts-embedded.yaml", path])
    assert len({prompt.text for prompt in both}) == len(both)
    assert path.read_text() == prompt_writer.as_yaml(prompt_writer.choosing(), prompt_writer.CHOOSE_HEADER)
    assert len(prompts.load([path])) % 6 == 0, "halves, each shared evenly by two or three training seeds"
