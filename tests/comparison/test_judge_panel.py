"""The adviser with a panel of judges whose true orders are planted, and the way to the VAE ceiling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_judges import ORDER, OTHER, advise, panel
from scipy.stats import kendalltau

from laureate.comparison import judge_agreement, rank_recommendation
from laureate.comparison.way_to_ceiling import share_of_way
from laureate.config import params


def test_judges_that_agree() -> None:
    advice = advise(panel({"imagenet": ORDER, "vision": ORDER, "clip": ORDER}))
    assert (advice.rank, advice.enough, advice.unanimous) == (16, True, True)
    assert advice.agreement.outcome == "agree"
    assert advice.sentences == [
        "Take rank 16: the best, and no smaller rank is shown to come close.",
        "The judges agree: all prefer rank 16 (Kendall's τ between their orders +1.00, 95 % +1.00 to +1.00, "
        "mean of 3 pairs).",
    ]


def test_one_that_dissents_is_named_and_the_leading_judge_is_followed() -> None:
    advice = advise(panel({"imagenet": ORDER, "vision": OTHER, "clip": ORDER}))
    assert (advice.rank, advice.unanimous, advice.enough) == (16, False, False)
    assert (advice.agreement.outcome, advice.agreement.dissenter) == ("disagree", "vision")
    first, second = advice.sentences
    assert first == (
        "Take rank 16: the best by the judge imagenet; no rank is shown to be best or tied with the best for "
        "every judge."
    )
    assert second.startswith(
        "The judges disagree: imagenet and clip prefer rank 16, vision prefers rank 4, "
        "and vision dissents, whose choice imagenet and clip find worse (Kendall's τ between their orders "
    )
    mean = advice.agreement.mean
    assert mean is not None
    assert mean.low <= mean.tau < 0.5
    assert {finding.rank: finding.verdict for finding in advice.findings} == dict.fromkeys(ORDER, "worse")


def test_the_one_whose_choice_nobody_shares_dissents() -> None:
    """Only one judge objects, and by the orders alone it would be the odd one out."""
    near = {4: 3.0, 8: 2.0, 16: 0.0, 32: 0.3}
    judges = {
        "imagenet": {4: 2.0, 8: 3.0, 16: 1.0, 32: 0.0},
        "vision": near | {32: 0.02},
        "clip": near | {16: 0.05, 32: 0.0},
    }
    advice = advise(panel(judges))
    assert advice.agreement.objections == [("imagenet", "vision")]
    assert advice.agreement.dissenter == "vision"
    assert "vision dissents, whose choice imagenet finds worse" in advice.agreement.sentence
    assert (advice.rank, advice.unanimous) == (32, True)


def test_a_blind_one_has_no_say() -> None:
    advice = advise(panel({"imagenet": ORDER, "vision": ORDER, "clip": {}}))
    assert (advice.rank, advice.enough) == (16, True)
    assert advice.agreement.blind == ["clip"]
    assert advice.sentences[1].startswith("The judges agree: both prefer rank 16 (Kendall's τ ")
    assert advice.sentences[1].endswith(
        "; clip has no say, as it cannot tell even the best rank from the untuned base."
    )


def test_a_blind_leading_judge_gives_the_lead_to_the_next() -> None:
    advice = advise(panel({"vision": ORDER} | {"imagenet": {}}) | {})
    swapped = {name: panel({"vision": ORDER, "imagenet": {}})[name] for name in ("imagenet", "vision")}
    assert advise(swapped).lead == advice.lead == "vision"
    assert advise(swapped).sentences == advice.sentences
    assert advice.sentences[1] == (
        "This is the word of vision alone: imagenet has no say, as it cannot tell even the best rank from "
        "the untuned base."
    )
    blind = advise(panel({"vision": {16: 0.0, 32: 0.0}, "imagenet": {}}, base=0.0))
    assert blind.rank is None
    assert blind.sentences[-1] == "No judge can tell even its best rank from the untuned base."


def test_two_that_contradict_each_other_are_both_named() -> None:
    sentence = advise(panel({"imagenet": ORDER, "vision": OTHER})).agreement.sentence
    assert sentence.startswith(
        "The judges disagree: imagenet prefers rank 16, vision prefers rank 4, and imagenet finds the choice "
        "of vision worse; vision finds the choice of imagenet worse (Kendall's τ between their orders −"
    )


def test_orders_of_noise_are_open() -> None:
    """All ranks are alike, so each judge's order is chance; none can find another's choice worse."""
    alike = dict.fromkeys(ORDER, 0.0)
    outcomes = [
        advise(panel({"a": alike, "b": alike, "c": alike}, noise=2.0, seed=seed)).agreement.outcome
        for seed in range(20)
    ]
    assert outcomes.count("open") >= 14
    assert outcomes.count("disagree") <= 2


def test_a_rank_is_tied_only_where_it_is_for_every_judge() -> None:
    near = {4: 2.0, 8: 0.02, 16: 0.0}
    alone = advise(panel({"imagenet": near}))
    assert alone.rank == 8
    assert [f.verdict for f in alone.findings][:2] == ["worse", "tied"]
    both = advise(panel({"imagenet": near, "vision": {4: 2.0, 8: 2.0, 16: 0.0}}))
    assert both.rank == 16
    assert [f.verdict for f in both.findings] == ["worse", "worse", "best"]
    assert both.unanimous
    third = advise(panel({"imagenet": near, "vision": {4: 2.0, 8: 0.0, 16: 0.02}}))
    assert third.rank == 8
    assert third.answer == "Take rank 8: the smallest that is best or tied with the best for every judge."


def test_p_values_are_corrected_over_ranks_and_judges() -> None:
    judges = panel({"a": {4: 0.1, 8: 0.0}, "b": {4: 0.1, 8: 0.0}, "c": {4: 0.1, 8: 0.0}}, noise=0.3)
    together = advise(judges)
    for name, judge in judges.items():
        alone = advise({name: judge}).views[name]
        for one, all_of_them in zip(alone.findings, together.views[name].findings, strict=True):
            assert one.p_worse <= all_of_them.p_worse <= min(1.0, 3 * one.p_worse) + 1e-12
            assert one.p_tied <= all_of_them.p_tied <= min(1.0, 3 * one.p_tied) + 1e-12


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=7), st.integers(0, 2**32 - 1))
def test_kendalls_tau_is_scipys(order: list[int], seed: int) -> None:
    other = np.random.default_rng(seed).integers(0, 5, len(order))
    a, b = np.array([order], dtype=float), other[None].astype(float)
    expected = kendalltau(a[0], b[0]).statistic if len(set(order)) > 1 and len(set(other)) > 1 else 0.0
    assert judge_agreement.kendall(a, b)[0] == pytest.approx(expected)
    assert judge_agreement.kendall(a, b)[0] == pytest.approx(judge_agreement.kendall(b, a)[0])


def test_the_share_of_the_way_covers_the_true_one_in_about_95_percent() -> None:
    rng = np.random.default_rng(0)
    true = (10 - 4) / (10 - 2)
    covered = 0
    for _ in range(600):
        at = rng.normal([4, 10, 2], 0.5)
        draws = [value + 0.5 * rng.normal(size=1000) + 3 for value in at]  # biased alike: moved back
        share = share_of_way(*((float(v), d) for v, d in zip(at, draws, strict=True)))
        assert share is not None
        assert share.low <= share.value <= share.high
        covered += share.low <= true <= share.high
    assert 0.92 <= covered / 600 <= 0.98


def test_there_is_no_way_where_the_base_is_as_near_as_the_ceiling() -> None:
    draws = np.random.default_rng(0).normal(size=200)
    assert share_of_way((1.0, draws), (2.0, draws[::-1]), (2.5, draws)) is None
    assert share_of_way((1.0, draws), (2.0, draws[::-1]), (1.9, draws)) is None
    one = share_of_way((5.0, draws), (10.0, draws), (5.0, draws))
    assert one is not None
    assert one.value == 1.0


def test_each_judge_has_its_column_of_the_criterion() -> None:
    loaded = params.Params(sample=params.Sample(prompts=["data/prompts.yaml"]))

    def keys(criterion: str, judges: list[str], **roles: str) -> dict[str, str]:
        compare = params.Compare.model_validate({"criterion": criterion, "judges": judges})
        evaluate = loaded.evaluate.model_copy(update={
            "roles": loaded.evaluate.roles.model_copy(update=roles),
            "judges": loaded.evaluate.judges | {"dino": params.Judge(kind="dino", source="d")},
        })  # fmt: skip
        return rank_recommendation.panel_keys(
            loaded.model_copy(update={"compare": compare, "evaluate": evaluate})
        )

    every = ["imagenet", "vision", "clip"]
    assert keys("kid", every) == {"imagenet": "kid_imagenet", "vision": "kid", "clip": "kid_clip"}
    assert list(keys("kid", every)) == every  # the first leads
    assert keys("fid", every) == {"imagenet": "fid_imagenet", "vision": "fid", "clip": "fid_clip"}
    assert keys("style", every) == {"imagenet": "style_imagenet", "vision": "style"}
    assert keys("lpips", every) == {"vision": "lpips"}
    assert keys("kid", ["vision", "dino"], dino="dino") == {"vision": "kid", "dino": "dino"}
