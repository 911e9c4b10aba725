"""The adviser where every rank was trained several times: the luck of a training is in its answer."""

from __future__ import annotations

import numpy as np
import pytest

from laureate.comparison import rank_selection, sample_sizes
from laureate.comparison.rank_recommendation import luck_sentences
from laureate.evaluation import scores

PROMPTS, TRAININGS, REFERENCES = 48, 3, 30
DRAWN_BY = [prompt % TRAININGS for prompt in range(PROMPTS)]


def study(
    worse: dict[int, float], luck: float, seed: int = 0, several: bool = True
) -> tuple[dict[int, scores.Score], scores.Score, scores.Resamples]:
    """Distances of a picture a prompt: rank r is worse by worse[r], and every training of it by its luck."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(PROMPTS, 1)) + rng.normal(size=(1, REFERENCES))

    def of(more: float, luck: float) -> scores.Score:
        lucks = luck * rng.normal(size=TRAININGS) if several else np.full(TRAININGS, luck * rng.normal())
        own = 0.1 * rng.normal(size=(PROMPTS, 1)) + lucks[np.asarray(DRAWN_BY)][:, None]
        return scores.mean_over_pairs(shared + own + more)

    resamples = scores.resample(range(PROMPTS), REFERENCES, 50, trainings=DRAWN_BY if several else ())
    return {rank: of(more, luck) for rank, more in worse.items()}, of(10.0, 0.0), resamples


@pytest.mark.parametrize("luck", [0.0, 0.3, 1.0])
def test_equal_ranks_are_seldom_called_worse_across_trainings(luck: float) -> None:
    """Two ranks that differ by luck alone: with several trainings one is called worse in at most one study of
    twenty; with one training, luck passes for a difference."""
    wrong = {True: 0, False: 0}
    for several in wrong:
        for seed in range(60):
            ranks, base, resamples = study({4: 0.0, 8: 0.0}, luck, seed, several)
            advice = rank_selection.advise(ranks, base, resamples)
            wrong[several] += any(finding.verdict == "worse" for finding in advice.findings)
    assert wrong[True] <= 6  # 5 % of 60 are 3; 6 and fewer in 97 of 100 runs
    if luck:
        assert wrong[False] > 40


def test_a_judge_that_sees_every_adapter_has_its_say_however_much_they_differ() -> None:
    """One training of three that went half wrong hides the mean of others to come, but not that these
    adapters draw other pictures than the base."""
    told = {0.0: 0, 10.0: 0}  # how far the ranks are from the portraits; the base is 10 away
    for seed in range(40):
        for far in told:
            ranks, base, resamples = study({4: far, 8: far}, 0.0 if far else 3.0, seed)
            told[far] += rank_selection.advise(ranks, base, resamples).rank is not None
    assert told[0.0] == 40
    assert told[10.0] <= 6  # 5 % of 40 are 2, of the better of two ranks some more


def test_a_rank_that_is_worse_in_every_training_is_found() -> None:
    ranks, base, resamples = study({4: 3.0, 8: 0.0}, luck=0.05)
    advice = rank_selection.advise(ranks, base, resamples)
    assert (advice.rank, advice.trainings) == (8, 3)
    assert [finding.verdict for finding in advice.findings] == ["worse", "best"]
    share = luck_sentences(advice)[0]
    assert share.startswith("Over 3 trainings of each rank; of the variance of rank 8's score, ")


def test_one_training_is_said() -> None:
    ranks, base, resamples = study({4: 3.0, 8: 0.0}, luck=0.0, several=False)
    assert "trained once" in luck_sentences(rank_selection.advise(ranks, base, resamples))[0]


def test_where_the_trainings_differ_more_trainings_are_the_remedy() -> None:
    ranks, base, resamples = study({4: 1.0, 8: 0.0}, luck=1.0, seed=2)
    advice = rank_selection.advise(ranks, base, resamples)
    assert advice.findings[0].verdict == "undecided"
    assert advice.wanted is not None
    assert advice.wanted.prompts is None
    assert advice.wanted.trainings is not None
    assert advice.wanted.trainings > TRAININGS
    assert f"about {advice.wanted.trainings} trainings of each rank would." in advice.open_questions[-1]


def test_the_cheapest_remedy_is_named_unless_it_takes_far_too_many() -> None:
    def said(prompts: int | None, portraits: int | None, trainings: int | None) -> str:
        return sample_sizes.sentence(sample_sizes.Wanted(prompts, portraits, trainings), 49, 98, 34, 3)

    assert said(60, 40, 4) == "About 120 pictures (60 prompts) would tell."
    assert "about 4 trainings" in said(5000, 40, 4)
    assert "about 40 held-out portraits" in said(None, 40, None)
    assert said(None, None, None) == "No larger number of prompts, trainings or portraits alone would tell."
