"""The rank adviser on simulated scores whose true values are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.comparison import rank_selection
from laureate.core.errors import LaureateError
from laureate.evaluation import scores

RANKS = (4, 8, 16, 32)


def study(
    worse: dict[int, float],
    prompts: int = 40,
    references: int = 30,
    seed: int = 0,
    noise: float = 1.0,
    exact: bool = False,
) -> tuple[dict[int, scores.Score], scores.Score, scores.Resamples]:
    """Distances of two pictures per prompt: rank r is worse than the best by worse[r], the base by 10.

    Part of the noise is common to all models. `exact`: each model's own noise has mean 0, so that the
    differences in the sample are the true ones.
    """
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=(prompts, 1)), 2, axis=0) + rng.normal(size=(1, references))

    def of(more: float) -> scores.Score:
        own = noise * rng.normal(size=(prompts, 1))
        own -= own.mean() if exact else 0
        return scores.mean_over_pairs(shared + np.repeat(own, 2, axis=0) + more)

    ranks = {rank: of(more) for rank, more in worse.items()}
    labels = [number // 2 for number in range(2 * prompts)]
    return ranks, of(10.0), scores.resample(labels, references, draws=50)


def test_the_smallest_tied_rank_is_recommended() -> None:
    ranks, base, resamples = study({4: 3.0, 8: 1.5, 16: 0.02, 32: 0.0}, noise=0.2)
    advice = rank_selection.advise(ranks, base, resamples)
    assert advice.rank == 16
    assert advice.enough
    assert {f.rank: f.verdict for f in advice.findings if f.rank < 16} == {4: "worse", 8: "worse"}
    assert advice.sentences == [f"Take rank 16: the smallest that is tied with the best, rank {advice.best}."]


def test_a_clear_best_is_recommended() -> None:
    ranks, base, resamples = study({4: 3.0, 8: 2.0, 16: 0.0, 32: 2.0}, noise=0.2)
    advice = rank_selection.advise(ranks, base, resamples)
    assert (advice.rank, advice.best, advice.enough) == (16, 16, True)
    assert [f.verdict for f in advice.findings] == ["worse", "worse", "best", "worse"]
    assert advice.sentences[0].startswith("Take rank 16: the best")


def test_few_pictures_leave_a_rank_undecided_and_it_says_how_many_would_decide() -> None:
    worse = {4: 1.2, 8: 0.0}
    ranks, base, resamples = study(worse, prompts=6, seed=3)
    advice = rank_selection.advise(ranks, base, resamples)
    assert (advice.rank, advice.best, advice.enough) == (8, 8, False)
    assert advice.findings[0].verdict == "undecided"
    assert advice.prompts_wanted is not None
    assert advice.pictures_wanted == 2 * advice.prompts_wanted
    assert advice.sentences[1:] == [
        "Rank 4 may do as well: not enough pictures to tell.",
        f"About {advice.pictures_wanted} pictures ({advice.prompts_wanted} prompts) would tell.",
    ]


def test_where_the_base_is_as_good_no_rank_is_recommended() -> None:
    rng = np.random.default_rng(5)
    alike = {rank: scores.mean_over_pairs(rng.normal(size=(20, 10))) for rank in RANKS}
    advice = rank_selection.advise(
        alike, scores.mean_over_pairs(rng.normal(size=(20, 10))), scores.resample(range(20), 10)
    )
    assert (advice.rank, advice.enough, advice.prices) == (None, False, {})
    assert advice.sentences[0].startswith("Not enough pictures to tell: with 20 pictures even the best rank")
    assert len(advice.sentences) == 2


def test_more_prompts_do_not_help_where_references_are_too_few() -> None:
    """A rank that is better on some references and worse on others: only more references can tell."""
    rng = np.random.default_rng(6)
    swings = rng.normal(size=(1, 5))
    best = np.zeros((40, 5)) + 0.001 * rng.normal(size=(40, 1))
    ranks = {4: scores.mean_over_pairs(best + swings - swings.mean() + 0.3), 8: scores.mean_over_pairs(best)}
    advice = rank_selection.advise(ranks, scores.mean_over_pairs(best + 10), scores.resample(range(40), 5))
    assert advice.findings[0].verdict == "undecided"
    assert advice.prompts_wanted is None
    assert advice.wanted is not None
    assert advice.wanted.portraits is not None
    assert advice.sentences[-1] == (
        f"More prompts alone would hardly tell, but about {advice.wanted.portraits} held-out portraits would."
    )


def test_prices_are_what_the_recommended_rank_costs() -> None:
    ranks, base, resamples = study({4: 0.015, 8: 0.0}, noise=0.05)
    rng = np.random.default_rng(7)
    content = {
        rank: scores.mean_over_pictures(0.9 - rank / 100 + 0.001 * rng.normal(size=80)) for rank in (4, 8)
    }
    kept = scores.mean_over_pictures(np.full(80, 0.95))
    advice = rank_selection.advise(ranks, base, resamples, {"content": (content, kept)})
    assert (advice.rank, advice.best) == (4, 8)
    to_base, to_best = advice.prices["content"]
    assert to_base.value == pytest.approx(-0.09, abs=1e-3)
    assert to_best.value == pytest.approx(0.04, abs=1e-3)
    assert to_base.p < 0.001


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 20))
def test_units_and_direction_do_not_matter(seed: int, unit: float) -> None:
    ranks, base, resamples = study({4: 0.8, 8: 0.3, 16: 0.0}, prompts=12, seed=seed)

    def scaled(score: scores.Score, by: float) -> scores.Score:
        return scores.mean_over_pairs(by * score.distances + 5)

    expected = rank_selection.advise(ranks, base, resamples)
    for by, lower in ((unit, True), (-unit, False)):
        advice = rank_selection.advise(
            {rank: scaled(score, by) for rank, score in ranks.items()},
            scaled(base, by),
            resamples,
            lower_is_better=lower,
        )
        assert (advice.rank, advice.best, advice.prompts_wanted) == (
            expected.rank,
            expected.best,
            expected.prompts_wanted,
        )
        assert [f.verdict for f in advice.findings] == [f.verdict for f in expected.findings]


def test_a_rank_at_the_margin_is_recommended_in_5_percent_of_studies() -> None:
    """Rank 4 is worse by exactly the margin, 5 % of the way to the base: to recommend it is an error.

    Among 800 studies, an error rate of 5 % gives 26 to 55 errors with a probability of 98 %. Fewer would mean
    that the adviser asks for more pictures than it needs.
    """
    recommended = [
        rank_selection.advise(*study({4: 0.5, 8: 0.0}, prompts=20, noise=0.8, seed=seed)).rank
        for seed in range(800)
    ]
    assert set(recommended) == {4, 8}
    assert 26 <= recommended.count(4) <= 55


def test_the_wanted_number_of_prompts_decides_an_undecided_rank_in_80_percent_of_studies() -> None:
    """The number is computed from 16 prompts whose difference is the true one, on average over 40 samples."""
    worse = {4: 0.5, 8: 0.0}
    wanted = [
        rank_selection.advise(*study(worse, 16, seed=seed, exact=True), margin=0.02).prompts_wanted
        for seed in range(40)
    ]
    prompts = round(np.mean([number or 0 for number in wanted]))
    decided = [
        rank_selection.advise(*study(worse, prompts, seed=100 + seed), margin=0.02).findings[0].verdict
        for seed in range(200)
    ]
    assert set(decided) <= {"worse", "undecided", "best"}  # it is not tied: 5 % of the way, margin 2 %
    assert 0.7 <= decided.count("worse") / 200 <= 0.9  # three standard errors around 80 %


def test_no_ranks_and_a_margin_outside_0_to_1_are_refused() -> None:
    ranks, base, resamples = study({4: 0.0})
    with pytest.raises(LaureateError, match="needs ranks"):
        rank_selection.advise({}, base, resamples)
    with pytest.raises(LaureateError, match=r"and 1\.5"):
        rank_selection.advise(ranks, base, resamples, margin=1.5)
