"""Copies of training portraits are found whatever was done to them; other people are not called copies.

With the shipped judge on few people; `python -m benchmarks copies` counts on many (docs/scores.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import copies as planted
from laureate.config import params
from laureate.evaluation import copies
from laureate.evaluation.judges.panel import Panel

TRAIN, HOLDOUT, OTHERS = 16, 12, 40


@pytest.fixture(scope="module")
def people() -> planted.People:
    return planted.People(seed=5, train=TRAIN, holdout=HOLDOUT)


@pytest.fixture(scope="module")
def panel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    vision = params.Judge(kind="vision", source=str(root / "models/embedded/vision"))
    roles = params.Roles(text=None, cmmd=None)
    return Panel(params.Evaluate(judges={"vision": vision}, roles=roles), tmp_path_factory.mktemp("judged"))


def share(panel: Panel, people: planted.People, pictures: list) -> float:
    sets = [planted.picture_set(part) for part in (pictures, people.train, people.holdout)]
    return float(copies.copied(panel, *sets).mean())


@pytest.mark.parametrize("kind", planted.KINDS)
def test_copies_of_every_kind_are_found(panel: Panel, people: planted.People, kind: str) -> None:
    assert share(panel, people, planted.KINDS[kind](people)) >= 0.95


def test_other_people_are_not_copies(panel: Panel, people: planted.People) -> None:
    assert share(panel, people, people.others(OTHERS)) <= 1 / OTHERS


def test_without_a_judge_that_reads_only_what_can_be_laid_over_is_found(
    panel: Panel, people: planted.People
) -> None:
    blind = Panel(
        panel.evaluate.model_copy(update={"roles": params.Roles(text=None, cmmd=None, attributes=None)}),
        panel.cache,
    )
    assert share(blind, people, planted.cropped(people)) >= 0.95
    assert share(blind, people, planted.posed_anew(people)) < 0.5


def test_likenesses_are_remembered(
    panel: Panel, people: planted.People, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [planted.picture_set(part) for part in (people.holdout, people.train)]
    first = copies.likeness(panel, *sets)
    monkeypatch.setattr("laureate.imaging.alignment.KnownPictures", None)  # it is not asked again
    np.testing.assert_array_equal(copies.likeness(Panel(panel.evaluate, panel.cache), *sets), first)


def test_agreement_is_full_with_the_same_reading_and_falls_with_each_head_that_differs() -> None:
    one = {"hair": np.array([[1.0, 0.0]]), "hat": np.array([[0.5, 0.5]])}
    other = {"hair": np.array([[0.0, 1.0]]), "hat": np.array([[0.5, 0.5]])}
    assert copies.agreement(one, one) == pytest.approx(0)
    assert copies.agreement(one, other) == pytest.approx(np.log(copies.TINY))


def test_the_threshold_lies_midway() -> None:
    assert copies.threshold(np.full(50, 0.4), 1.0) == pytest.approx(0.7)
    assert copies.threshold(np.array([0.4] * 200 + [0.99]), 1.0) < 0.71  # one twin does not move it
