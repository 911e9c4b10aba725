"""What the adviser says of learning rate, step and strength."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laureate.comparison import choices
from laureate.config.params import Choose, Params, Train
from laureate.core.errors import LaureateError
from laureate.core.files import write_json

NAIVE = {"learning_rate": 0.001, "step": 240, "strength": 1.0}
GAIN = {"value": 0.081, "low": -0.0042, "high": 0.166, "p": 0.03}


def choice(**values: Any) -> dict[str, Any]:
    """A choice as `laureate choose` writes it."""
    usual = {
        **NAIVE, "naive": NAIVE, "candidates": 9, "last_step": 240, "gain": GAIN, "more_training": "unknown",
        "failed": [],
    }  # fmt: skip
    return usual | values


def test_the_gain_is_named_with_its_interval_and_where_it_was_measured() -> None:
    other = choice(learning_rate=0.003, step=160, strength=0.7, more_training="hurts")
    said = choices.sentences({4: choice(), 16: other}, 16)
    assert said == [
        "Rank 16 is drawn with learning rate 0.003, step 160 and strength 0.7. Against learning rate 0.001, "
        "step 240 and strength 1, choosing so gains 8.1 % (−0.4 to 16.6) of the way from the untuned base to "
        "the portraits, mean over the panel, measured on prompts and portraits that it was not chosen on.",
        "More training hurts after step 160: step 240 is worse.",
    ]


def test_a_tie_is_said_as_one() -> None:
    (said,) = choices.sentences({4: choice()}, 4)
    assert said.startswith("Rank 4 is drawn with learning rate 0.001, step 240 and strength 1: no other")


def test_more_training_may_help() -> None:
    assert "More training may still help" in choices.sentences({4: choice(more_training="helps")}, 4)[1]


def test_every_failed_training_is_named_whatever_is_recommended() -> None:
    failed = [{"learning_rate": 0.003, "seed": 43, "reason": "the loss is nan at step 90"}]
    for rank in (4, 16, None):
        said = choices.sentences({4: choice(candidates=1), 16: choice(candidates=1, failed=failed)}, rank)
        assert said == [
            "Rank 16: training seed 43 failed with learning rate 0.003 (the loss is nan at step 90)."
        ]


def test_one_candidate_needs_no_sentence_and_no_file(tmp_path: Path) -> None:
    assert choices.sentences({4: choice(candidates=1, gain=None)}, 4) == []
    assert choices.read(Params(ranks=[4]), tmp_path) == {}


@pytest.mark.parametrize(
    "params",
    [
        Params(ranks=[4], train=Train(snapshots=[80])),
        Params(ranks=[4], train=Train(learning_rates=[3e-3])),
        Params(ranks=[4], choose=Choose(strengths=[0.7])),
    ],
)
def test_several_candidates_need_a_choice(params: Params, tmp_path: Path) -> None:
    with pytest.raises(
        LaureateError, match=r"rank-4\.json does not exist; run `laureate choose --rank 4` first"
    ):
        choices.read(params, tmp_path)
    write_json(tmp_path / "rank-4.json", choice(rounds=[]))
    assert choices.read(params, tmp_path) == {4: choice()}
    for damaged in ([], {"step": 3}, 7):
        write_json(tmp_path / "rank-4.json", damaged)
        with pytest.raises(LaureateError, match=r"rank-4\.json is damaged; run `laureate choose --rank 4`"):
            choices.read(params, tmp_path)
