"""Drift and leak, on drawn pictures with the shipped judges: an adapter that leaks is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from laureate.comparison import drift_guard, paired_tests
from laureate.config import params
from laureate.evaluation import drift, evidence, scores, scoring
from laureate.evaluation.judges.panel import Panel, PictureSet
from laureate.formats import prompts
from laureate.simulator.portraits import attributes, portrait

COUNT = 16  # prompts without the style phrase, of 20
NAMES = [f"p{index}_{seed}" for index in range(20) for seed in (1, 2)]


EVALUATE = params.Evaluate(bootstrap=100)
Judged = Callable[[list[str] | None], evidence.Evidence]  # styles of the pictures, None for the base's


@pytest.fixture(scope="module")
def judged(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The evidence of an adapter that draws the plain prompts in given styles; the base draws comics."""
    evaluate = params.Evaluate(
        judges={
            name: params.Judge(kind=name, source=str(root / "models/embedded" / name))
            for name in ("vision", "clip")
        },
    )
    panel = Panel(evaluate, tmp_path_factory.mktemp("judged"))
    asked = prompts.load([root / "data/prompts-embedded.yaml"])[:COUNT]
    people = [
        replace(attributes.random_attributes(np.random.default_rng(row)), **prompt.attributes)
        for row, prompt in enumerate(asked)
    ]

    def drawn(styles: list[str], seed: int = 0) -> PictureSet:
        pictures = [portrait.draw(who, style, seed) for who, style in zip(people, styles, strict=True)]
        return PictureSet([Path(f"{row}.png") for row in range(COUNT)], pictures)

    base = drawn(["comic"] * COUNT)

    def evidence_of(styles: list[str] | None) -> evidence.Evidence:
        pictures = base if styles is None else drawn(styles)
        plain = drift.PlainPictures(
            pictures,
            [f"p{index}_1" for index in range(COUNT)],
            [prompts.without_style(prompt.text, "in the style of Nobel Laureate") for prompt in asked],
            [prompt.attributes for prompt in asked],
        )
        values = drift.drift_values(panel, NAMES, plain, None if styles is None else base, "laureate")
        found = evidence.Evidence(
            "rank-4", NAMES, [name.partition("_")[0] for name in NAMES], {}, values, {}, {}, {}
        )
        return scoring.drawn(found, 5, EVALUATE)

    return evidence_of


def leak_of(judged: Judged, styles: list[str]) -> drift_guard.Leak:
    models = [paired_tests.ScoredModel(judged(one), 5, EVALUATE) for one in (None, styles)]
    (leak,) = drift_guard.leaks_of({4: models[1]}, models[0])
    return leak


def test_an_adapter_that_leaks_is_found(judged: Judged) -> None:
    """In a half of its pictures the style shows although nobody asked for it."""
    leak = leak_of(judged, ["laureate", "comic"] * (COUNT // 2))
    assert leak.leaks
    assert leak.share.low < 0.5 < leak.share.high
    assert leak.of_base.value == 0
    (sentence,) = drift_guard.sentences([leak], 4)
    assert sentence.startswith("It leaks: ")
    assert drift_guard.sentences([leak], None) == []


def test_an_adapter_that_changes_other_things_does_not_leak(
    judged: Judged,
) -> None:
    """Another style than the one to learn is drift, and no leak."""
    leak = leak_of(judged, ["poster"] * COUNT)
    assert not leak.leaks
    (sentence,) = drift_guard.sentences([leak], 4)
    assert sentence.startswith("It does not leak beyond chance: ")


def test_drift_grows_with_what_changes(judged: Judged) -> None:
    """Pictures as the base's have none, other styles have more the more pictures they are."""
    means = []
    for changed in (0, COUNT // 4, COUNT):
        values = judged(["poster"] * changed + ["comic"] * (COUNT - changed)).values
        means.append(np.nanmean(values["drift"]))
    assert means[0] == pytest.approx(0, abs=1e-5)
    assert means[0] < means[1] < means[2]


def test_the_values_stand_with_the_picture_of_that_prompt_and_seed(
    judged: Judged,
) -> None:
    values = judged(None).values
    known = np.isfinite(values["plain_clip"])
    assert [name for name, is_known in zip(NAMES, known, strict=True) if is_known] == [
        f"p{index}_1" for index in range(COUNT)
    ]
    assert set(values) == {"leak", "plain_clip", "plain_content"}  # the base does not drift from itself
    assert np.nanmean(values["plain_content"]) > 0.7  # of a drawn picture the judge reads what was asked


def test_a_rank_that_leaks_less_is_named() -> None:
    def share(value: float) -> scores.Estimate:
        return scores.Estimate(value, value - 0.05, value + 0.05, 0.0, 0.0, 10)

    leaks = [drift_guard.Leak(rank, share(at), share(0.0), share(at)) for rank, at in ((4, 0.1), (8, 0.9))]
    assert "; rank 4 leaks least, 10 % (5 to 15)" in drift_guard.sentences(leaks, 8)[0]
    assert "leaks least" not in drift_guard.sentences(leaks, 4)[0]
