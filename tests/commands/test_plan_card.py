"""`laureate plan --card`: settings that fit a card, the cheapest first, on the shape of the embedded base."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from laureate.commands import card_fit, plan
from laureate.commands.plan_cache import PlanCache
from laureate.config import params


def small(**train: object) -> params.Params:
    """A study of two ranks."""
    loaded = params.load()
    section = loaded.train.model_copy(update={"batch": 2, "precision": "float32", **train})
    return loaded.model_copy(update={"train": section, "ranks": [4, 8]})


@pytest.fixture
def configs(root: Path, monkeypatch: pytest.MonkeyPatch) -> card_fit.Configs:
    monkeypatch.chdir(root)
    return plan.shape_of(params.load()).configs


@pytest.fixture(scope="module")
def counted() -> PlanCache:
    """What was counted in an earlier test: a candidate takes a third of a second."""
    return PlanCache()


def test_settings_as_they_are_come_first_and_every_candidate_is_another() -> None:
    train = params.Train(batch=6)
    found = list(card_fit.candidates(train))
    assert found[0] == train
    # parts 1, 2, 4 and 6, and at last another optimiser
    assert len({repr(one) for one in found}) == len(found) == 4 * 4 + 1
    assert [one.optimizer for one in found[-2:]] == ["adamw", "adafactor"]
    given = params.Train(batch=1, pack=False, gradient_checkpointing=True, optimizer="adamw8bit")
    assert list(card_fit.candidates(given)) == [given]


@pytest.mark.slow
def test_less_memory_asks_for_more_settings(configs: card_fit.Configs, counted: PlanCache) -> None:
    study = small()
    plain = max(cost.memory("cuda", 0) for cost in card_fit.costs_of(study, configs, counted)) / card_fit.GIB
    enough, _ = card_fit.fit(study, configs, 1.1 * plain, 0, counted)
    assert enough is not None
    assert enough.changes(study.train) == {}
    assert enough.price == 1
    less, _ = card_fit.fit(study, configs, 0.8 * plain, 0, counted)
    assert less is not None
    assert "gradient_accumulation" in less.changes(study.train)
    assert less.bytes < 0.8 * plain * card_fit.GIB
    assert less.price == pytest.approx(1, abs=0.06)
    every = list(card_fit.candidates(study.train))
    held = [
        max(
            cost.memory("cuda", 0)
            for cost in card_fit.costs_of(study.model_copy(update={"train": one}), configs, counted)
        )
        for one in every[-2:]
    ]
    assert held[1] < held[0], "the moments of AdamW are gone"
    none, last = card_fit.fit(study, configs, 1e-3, 0, counted)
    assert none is None
    assert last.train.gradient_checkpointing
    assert not last.train.pack
    assert last.price > 1.2  # activations are computed twice


def test_it_is_said_in_words(configs: card_fit.Configs, counted: PlanCache) -> None:
    said = {gib: card_fit.lines(small(), configs, gib, 0, counted)[0] for gib in (64, 1e-3)}
    assert said[64].startswith("A card of 64 GiB has room for train as it is")
    assert said[1e-3].startswith("Nothing fits a card of 0.001 GiB: ")


@pytest.mark.parametrize("kind", ["adafactor", "adamw8bit"])
def test_an_optimiser_of_less_memory_is_counted(
    configs: card_fit.Configs, counted: PlanCache, kind: str
) -> None:
    """Eight bytes less of every weight, but for what it keeps itself; without the package as well."""
    study = small()
    plain, less = (
        card_fit.costs_of(study.model_copy(update={"train": train}), configs, counted)[0]
        for train in (study.train, study.train.model_copy(update={"optimizer": kind}))
    )
    kept = {"adafactor": 0.25, "adamw8bit": 0.27}[kind]  # share of AdamW's moments
    saved = plain.weights - less.weights
    assert 8 * plain.adapted * (1 - kept) < saved < 8 * plain.adapted
    assert plain.flops == less.flops
