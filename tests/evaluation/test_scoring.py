"""Scoring: every score of some evidence with its interval, as the study reports it."""

import numpy as np
import pytest
from drawn_study import evidence_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laureate.evaluation import scores, scoring

DRAWS = 60


def resamples_of(pictures: int, per_prompt: int, references: int = 5) -> scores.Resamples:
    return scores.resample([i // per_prompt for i in range(pictures)], references, DRAWS, seed=1)


@pytest.mark.parametrize("key", sorted(scoring.SHARES))
@settings(max_examples=25, deadline=None)
@given(hits=st.lists(st.booleans(), min_size=2, max_size=24))
@example(hits=[True] * 9 + [False])
@example(hits=[False] * 9 + [True])
@example(hits=[True] * 6)
def test_the_interval_of_a_share_lies_between_0_and_1(key: str, hits: list[bool]) -> None:
    score = scores.mean_over_pictures(np.array(hits, dtype=float))
    estimate, _ = scoring.estimate(key, score, resamples_of(len(hits), per_prompt=1))
    assert estimate.value == pytest.approx(np.mean(hits), rel=1e-5)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


def test_only_shares_are_cut() -> None:
    score = scores.mean_over_pictures(np.array([1.0] * 9 + [0.0]))
    resamples = resamples_of(10, per_prompt=1)
    uncut, cut = (scoring.estimate(key, score, resamples)[0] for key in ("clip", "content"))
    assert uncut.high > 1
    assert cut.high == 1
    assert (cut.value, cut.low) == (uncut.value, uncut.low)


def test_a_share_where_all_pictures_agree_still_has_an_interval() -> None:
    score = scores.mean_over_pictures(np.ones((4, 1)))
    estimate, _ = scoring.estimate("style_read", score, resamples_of(4, per_prompt=1))
    assert estimate.value == estimate.high == 1
    assert 0.4 < estimate.low < 0.6  # four of four is no proof of nine in ten


def test_every_score_of_the_catalogue_is_estimated_and_its_draws_are_its_values() -> None:
    evidence = evidence_of("rank-4", 0.5, np.random.default_rng(1))
    resamples = scores.resample(evidence.clusters, 30, DRAWS, seed=1)
    by_key = scoring.scores_of(evidence, neighbours=3)
    assert tuple(by_key) == scoring.KEYS
    none = {key for key, score in by_key.items() if score is None}
    assert none == {"dino", "fid_dino", "plain_content"}  # no such judge; not in these data
    for key, score in by_key.items():
        if score is None:
            continue
        estimate, draws = scoring.estimate(key, score, resamples)
        assert estimate.value == pytest.approx(score(), rel=1e-5)
        assert estimate.low <= estimate.value <= estimate.high
        if key in scoring.SHARES:
            assert 0 <= estimate.low <= estimate.high <= 1
        assert len(draws) == 1 + DRAWS + 49 + 30  # all, resamples, all but one prompt or reference
        assert draws[0] == pytest.approx(score())
        np.testing.assert_allclose(draws[1 : 1 + DRAWS], resamples.draws(score), equal_nan=True)
        columns = scoring.columns(key, estimate)
        assert list(columns) == [key, f"{key}_low", f"{key}_high"]
        assert list(columns.values()) == [estimate.value, estimate.low, estimate.high]
    assert set(scoring.columns("dino", None).values()) == {None}


def test_a_precomputed_score_gives_its_draws_and_computes_only_what_it_does_not_have() -> None:
    class Counted(scores.PictureMean):
        calls = 0

        def resampled(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
            self.calls += 1
            return super().resampled(u, v)

    score, resamples = Counted(np.arange(8.0)), resamples_of(8, per_prompt=2)
    draws = scoring.draw(score, resamples)
    known, score.calls = scoring.PrecomputedScore(score, draws, resamples), 0
    given_back = np.concatenate([known.resampled(u, v) for u, v in scoring.designs(resamples)])
    np.testing.assert_array_equal(given_back, draws)
    assert score.calls == 0
    assert known(np.array([0, 0, 1])) == pytest.approx(1 / 3)
    assert score.calls == 1
