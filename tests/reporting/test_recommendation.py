"""The answer at the top of the report page, for every kind of advice that the rank adviser gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_report import Page
from planted_judges import ORDER, OTHER, advise, panel

from laureate.comparison import rank_recommendation, rank_selection
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.reporting import charts, html_page, recommendation
from laureate.stages import report

ONCE = (
    "Every rank was trained once: what another seed of training would change is not in these intervals "
    "(train.seeds)."
)


def advice(
    worse: dict[int, float],
    criterion: str = "kid",
    prompts: int = 40,
    base: float = 10,
    noise: float = 1.0,
) -> dict[str, Any]:
    """What `laureate compare` writes of ranks that are worse than the best by `worse`, the base by `base`."""
    rng = np.random.default_rng(3)

    def score(more: float) -> scores.Score:
        return scores.mean_over_pairs(noise * rng.normal(size=(prompts, 1)) + np.full((1, 10), more))

    ranks = {rank: score(more) for rank, more in worse.items()}
    resamples = scores.resample(range(prompts), 10, draws=50)
    statistics = rank_selection.advise(ranks, score(base), resamples)
    return rank_recommendation.as_json(statistics, criterion, rank_selection.MARGIN)


@pytest.mark.parametrize(
    ("given", "headline", "reason", "sure"),
    [
        (
            advice({4: 5.0, 8: 0.0}),
            "Take rank 8",
            "The best, and no smaller rank is shown to come close.",
            "Better than the untuned base; every smaller rank is worse.",
        ),
        (
            advice({4: 0.0, 8: 5.0}),
            "Take rank 4",
            "The best, and no smaller rank is shown to come close.",
            "Better than the untuned base; no smaller rank was trained.",
        ),
    ],
)
def test_a_settled_answer(given: dict[str, Any], headline: str, reason: str, sure: str) -> None:
    answer = recommendation.answer(given)
    assert (answer["headline"], answer["reason"]) == (headline, reason)
    assert (answer["sure"], answer["not_settled"]) == (sure, "")
    assert answer["details"] == given["sentences"][1:] == [ONCE]


def test_an_open_answer_names_the_undecided_rank_and_the_pictures_that_would_decide() -> None:
    given = advice({4: 0.7, 8: 0.0}, prompts=8)
    assert given["findings"][0]["verdict"] == "undecided"
    answer = recommendation.answer(given)
    assert (answer["headline"], answer["sure"]) == ("Take rank 8", "Better than the untuned base.")
    assert answer["not_settled"] == (
        "Rank 4 may do as well: not enough pictures to tell. "
        f"About {given['pictures_wanted']} pictures ({given['prompts_wanted']} prompts) would tell."
    )
    assert answer["details"] == [ONCE]


def test_a_rank_that_is_tied_with_the_best() -> None:
    given = advice({4: 5.0, 8: 0.1, 16: 0.0}, noise=0.2)
    assert (given["rank"], given["best"]) == (8, 16)
    answer = recommendation.answer(given)
    expected = "Better than the untuned base; tied with rank 16; every smaller rank is worse."
    assert answer["sure"] == expected
    assert answer["not_settled"] == ""
    assert [sentence[:10] for sentence in answer["details"]] == ["Tied means", "Every rank"]


ALL, DISSENT, BLIND = (
    {"imagenet": ORDER, "vision": ORDER, "clip": ORDER},
    {"imagenet": ORDER, "vision": OTHER, "clip": ORDER},
    {"imagenet": ORDER, "vision": ORDER, "clip": {}},
)


@pytest.mark.parametrize(
    ("judges", "verdict", "choices", "sentence"),
    [
        (ALL, "Judges agree", ["rank 16", "rank 16", "rank 16"], "The judges agree: all prefer rank 16 ("),
        (
            DISSENT,
            "Judges disagree",
            ["rank 16", "rank 4; rank 16 is worse", "rank 16"],
            "vision dissents, whose choice imagenet and clip find worse (",
        ),
        (
            BLIND,
            "Judges agree",
            ["rank 16", "rank 16", "has no say"],
            "clip has no say, as it cannot tell even the best rank from the untuned base.",
        ),
    ],
)
def test_planted_judges_and_what_the_page_says_of_them(
    judges: dict[str, dict[int, float]],
    verdict: str,
    choices: list[str],
    sentence: str,
    drawn_report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted = advise(panel(judges))
    keys = {"imagenet": "kid_imagenet", "vision": "kid", "clip": "kid_clip"}
    given = rank_recommendation.as_json(planted, "kid", rank_selection.MARGIN, keys)
    monkeypatch.chdir(drawn_report)
    monkeypatch.setattr(charts, "score_panel", lambda *_: "<svg/>")  # seconds, and no part in this
    monkeypatch.setattr(charts, "losses", lambda *_: "<svg/>")
    loaded = params.load()
    loaded = loaded.model_copy(update={"report": loaded.report.model_copy(update={"noises": 0})})
    html = html_page.render(replace(report.read_content(loaded), advice=given))
    page = " ".join(Page(html).text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "Take rank 16" in page
    line = f"{verdict} " + " ".join(f"{name}: {choice}" for name, choice in zip(judges, choices, strict=True))
    assert line in page
    assert sentence in page
    assert page.index(line) < page.index(sentence) < page.index("Scores of all models")


@pytest.mark.parametrize("change", [{"judges": {}}, {"answer": ""}, {"findings": [{"rank": 4}]}])
def test_advice_of_another_version_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(LaureateError, match=r"adviser\.json is of another version; run `laureate compare`"):
        recommendation.answer(advice({4: 5.0, 8: 0.0}) | change)


def test_no_recommendation() -> None:
    given = advice({4: 0.0, 8: 0.0}, base=0)
    answer = recommendation.answer(given)
    assert given["rank"] is None
    assert (answer["headline"], answer["sure"]) == ("Not enough pictures to tell", "")
    assert answer["reason"].startswith("With 40 pictures even the best rank")
    assert answer["not_settled"] == given["sentences"][1]
    assert not any(row["recommended"] for row in answer["ranks"])


def test_differences_are_above_0_where_a_rank_is_worse_and_shares_are_in_percent() -> None:
    worse, best = recommendation.answer(advice({4: 5.0, 8: 0.0}))["ranks"]
    assert worse["difference"].startswith("+")
    assert float(worse["difference"]) == pytest.approx(5, abs=0.6)
    assert (worse["verdict"], worse["recommended"]) == ("worse", False)
    assert best == {"rank": 8, "difference": "–", "interval": "", "verdict": "best", "recommended": True}
    shares = recommendation.answer(advice({4: 5.0, 8: 0.0}, criterion="content"))["ranks"]
    assert float(shares[0]["difference"]) == pytest.approx(100 * float(worse["difference"]), rel=0.02)
