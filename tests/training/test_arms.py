"""Arms trained in one pack: each ends as if it were alone, and one that fails takes no other down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trained import Killed, changed, files, forget

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.diffusion import base_model, noise_schedule  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.networks.lora.arm import Arm, arms_of, arms_of_seeds  # noqa: E402
from laureate.stages import encode, train  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402
from laureate.training import objective, preview  # noqa: E402
from laureate.training import trainer as training  # noqa: E402


def trainer(study: params.Params, arms: list[Arm]) -> tuple[training.Trainer, objective.Examples]:
    """A trainer of some arms, and the pictures to train on."""
    found, data = base_model.find("base"), safetensors_io.load(encode.ENCODED)
    kind = "ids" if study.train.text_encoder else "text"
    question = objective.Objective(
        found.unet(),
        noise_schedule.from_config(found.scheduler),
        study.train,
        data[f"empty.{kind}"],
        found.scaling_factor,
        encoder=found.text_encoder() if study.train.text_encoder else None,
        seeds=list(dict.fromkeys(arm.seed for arm in arms)),
    )
    adapters = [training.adapter(study.train, arm.rank) for arm in arms]
    captions = data[f"train.{kind}"].to(question.empty.dtype)
    examples = objective.Examples(data["train.mean"], data["train.logvar"], captions)
    return training.Trainer(question, adapters, arms), examples


def weights_after(study: params.Params, arms: list[Arm], steps: int) -> list[dict[str, Any]]:
    """The adapters of arms that are trained together."""
    made, examples = trainer(study, arms)
    for step in range(steps):
        made.step(examples, step)
    return [made.export(index) for index in range(len(arms))]


def test_arms_are_every_rate_with_every_seed_and_named_by_what_differs() -> None:
    section = params.Train(learning_rate={4: 1e-3, 8: 3e-3}, learning_rates=[3e-3], seeds=[42, 43])
    assert [arm.name for arm in arms_of(section, 4)] == ["", "seed-43", "rate-0.003", "rate-0.003_seed-43"]
    assert [arm.name for arm in arms_of(section, 8)] == ["", "seed-43"], "its own rate is not tried twice"
    assert [arm.seed for arm in arms_of_seeds(section, 4)] == [42, 43]
    assert arms_of(params.Train(), 4) == [Arm(4, 1e-3, 42)]
    assert arms_of(section, 4)[3].place == Path("arms/rate-0.003_seed-43")
    assert arms_of(section, 4)[0].place == Path()


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """The norm of the difference between two adapters is below 1e-4 of the weights', for A and for B.

    Single tensors may differ by more: AdamW divides a gradient by its size, also where it is hardly more than
    rounding.
    """
    for half in ("lora_A", "lora_B"):
        names = [name for name in ours if half in name]
        one, other = (torch.cat([state[name].flatten() for name in names]) for state in (ours, theirs))
        assert (one - other).norm() <= 1e-4 * other.norm()


@pytest.mark.parametrize(
    ("steps", "settings"),
    [
        (50, {}),
        (8, {"targets": ["to_q", "conv1"], "dropout": 0.3}),
        (8, {"variant": "dora", "text_encoder": ["q_proj"]}),
        (8, {"init": "pissa", "alpha": 1.0}),
    ],
)
def test_an_arm_in_a_pack_is_the_arm_alone(
    study: params.Params, steps: int, settings: dict[str, Any]
) -> None:
    study = changed(study, steps=steps, seeds=[42, 7], learning_rates=[3e-3], **settings)
    arms = [arm for rank in (2, 4) for arm in arms_of(study.train, rank)]
    together = weights_after(study, arms, steps)
    for index in (0, 3, 5):
        assert_same(together[index], weights_after(study, [arms[index]], steps)[0])
    first, second = together[0], together[1]
    assert any(not torch.equal(first[name], second[name]) for name in first if "lora_B" in name)


@pytest.mark.e2e
def test_five_rates_and_three_seeds_of_every_rank_in_one_pack_are_the_arms_alone(
    study: params.Params,
) -> None:
    rates = [3e-4, 2e-3, 4e-3, 8e-3]
    study = changed(study, steps=50, seeds=[42, 43, 44], learning_rates=rates)
    arms = [arm for rank in (2, 4, 8) for arm in arms_of(study.train, rank)]
    assert len(arms) == 45
    together = weights_after(study, arms, 50)
    for index, arm in enumerate(arms):
        assert_same(together[index], weights_after(study, [arm], 50)[0])


def test_the_held_out_loss_of_an_arm_does_not_depend_on_the_others(study: params.Params) -> None:
    study = changed(study, seeds=[42, 7])
    arms = [arm for rank in (2, 4) for arm in arms_of(study.train, rank)]
    both, examples = trainer(study, arms)
    losses = both.holdout_loss(examples)
    for index, arm in enumerate(arms):
        alone, _ = trainer(study, [arm])
        torch.testing.assert_close(alone.holdout_loss(examples)[0], losses[index], rtol=1e-5, atol=0)
    assert losses[0] != losses[1], "each seed has time steps and noise of its own"


# --- the stage ---


def test_every_arm_and_snapshot_has_a_folder_and_the_main_arm_the_place_it_always_had(
    study: params.Params,
) -> None:
    train.run(study, rank=2)
    before = {name: len(data) for name, data in files(2).items()}
    forget()
    study = changed(study, seeds=[42, 43], learning_rates=[5e-3], snapshots=[3, 6, 14])
    train.run(study, rank=2)
    found = files(2)
    assert {name: len(data) for name, data in found.items() if name in before} == before
    names = {"", "arms/seed-43/", "arms/rate-0.005/", "arms/rate-0.005_seed-43/"}
    steps = {"", "step-3/", "step-6/"}  # 14 is the last
    expected = {f"{arm}{step}{file}" for arm in names for step in steps for file in (WEIGHTS, CONFIG)}
    expected |= {f"{arm}curve.csv" for arm in names - {""}}
    assert set(found) == expected | {"curve"}
    config = json.loads(found["arms/rate-0.005_seed-43/step-6/config.json"])
    assert (config["train"]["seed"], config["train"]["learning_rate"], config["step"]) == (43, 5e-3, 6)
    assert json.loads(found["config.json"])["train"]["seed"] == 42
    folder = paths.adapter_folder(2)
    states = [
        adapter_files.load(folder / each)[0]
        for each in ("", "step-3", "step-6", "arms/seed-43", "arms/seed-43/step-6")
    ]
    for one in range(len(states)):
        for other in range(one):
            assert any(not torch.equal(states[one][name], states[other][name]) for name in states[one])


WEIGHTS, CONFIG = paths.ADAPTER_WEIGHTS, paths.ADAPTER_CONFIG


def test_a_snapshot_is_what_a_training_of_that_schedule_has_then(study: params.Params) -> None:
    """With a constant rate, the snapshot at step 6 is the result of 6 steps."""
    constant = changed(study, schedule="constant", snapshots=[6], pack=False)
    train.run(constant, rank=2)
    snapshot, _ = adapter_files.load(paths.adapter_folder(2) / "step-6")
    train.run(changed(constant, steps=6, snapshots=[]), rank=2)
    last, _ = adapter_files.load(paths.adapter_folder(2))
    assert all(torch.equal(snapshot[name], last[name]) for name in last)


@pytest.fixture
def trained_arms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The arms of every training step that is taken."""
    taken: list[tuple[str, ...]] = []
    original = training.Trainer.step

    def step(self: training.Trainer, examples: objective.Examples, number: int) -> Any:
        taken.append(tuple(arm.key for arm in self.arms))
        return original(self, examples, number)

    monkeypatch.setattr(training.Trainer, "step", step)
    return taken


def test_another_seed_trains_the_arms_of_that_seed_only(
    study: params.Params, trained_arms: list[tuple[str, ...]]
) -> None:
    for rank in (2, 4):
        train.run(study, rank)
    before = files(2)
    trained_arms.clear()
    more = changed(study, seeds=[42, 43])
    train.run(more, rank=2)
    assert set(trained_arms) == {("2/seed-43", "4/seed-43")}
    assert {name: data for name, data in files(2).items() if name in before} == before
    trained_arms.clear()
    train.run(more, rank=4)
    assert not trained_arms
    train.run(changed(study, seeds=[43]), rank=4)
    assert not trained_arms, "the same arm, whether it is the main one or not"


def test_a_seed_that_is_added_after_a_kill_is_trained_when_the_rest_is_done(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[tuple[str, ...], int]] = []
    original = training.Trainer.step

    def step(self: training.Trainer, examples: objective.Examples, number: int) -> Any:
        taken.append((tuple(arm.key for arm in self.arms), number))
        if len(taken) == 10 and self.train.seeds == [42]:
            raise Killed
        return original(self, examples, number)

    monkeypatch.setattr(training.Trainer, "step", step)
    with pytest.raises(Killed):
        train.run(study, rank=2)
    taken.clear()
    train.run(changed(study, seeds=[42, 43]), rank=2)
    new = ("2/seed-43", "4/seed-43")
    assert taken == [
        *((("2", "4"), number) for number in range(8, 14)),
        *((new, number) for number in range(14)),
    ]


def test_a_new_snapshot_trains_again_and_one_that_is_dropped_does_not(
    study: params.Params, trained_arms: list[tuple[str, ...]]
) -> None:
    train.run(changed(study, snapshots=[3, 6]), rank=2)
    trained_arms.clear()
    train.run(changed(study, snapshots=[6]), rank=2)
    assert not trained_arms
    assert not (paths.adapter_folder(2) / "step-3").exists()
    train.run(changed(study, snapshots=[9]), rank=2)
    assert set(trained_arms) == {("2", "4")}


# --- failures ---


def poisoned(monkeypatch: pytest.MonkeyPatch, key: str, number: int) -> None:
    """From step `number` on the weights of one arm are not finite."""
    original = training.Trainer.step

    def step(self: training.Trainer, examples: objective.Examples, now: int) -> Any:
        if now == number:
            index = [arm.key for arm in self.arms].index(key)
            with torch.no_grad():
                for layer in self.layers.values():
                    layer.own("b", index).fill_(float("nan"))
        return original(self, examples, now)

    monkeypatch.setattr(training.Trainer, "step", step)


def test_a_seed_that_fails_is_named_and_the_others_are_as_without_it(
    study: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = changed(study, seeds=[42, 43], snapshots=[3, 9])
    for rank in (2, 4):
        train.run(study, rank)
    whole = files(2), files(4)
    forget()
    capsys.readouterr()
    poisoned(monkeypatch, "2/seed-43", 6)
    train.run(study, 2)
    train.run(study, 4)
    said = capsys.readouterr().err
    assert said.count("rank 2 (seed-43) has failed: the loss is nan at step 7") == 2, "at once and at the end"
    found = files(2)
    assert {name for name in found if "seed-43" in name} == {
        f"arms/seed-43/{name}" for name in ("config.json", "curve.csv")
    }
    config = json.loads(found["arms/seed-43/config.json"])
    assert config["failed"] == {"step": 7, "reason": "the loss is nan at step 7"}
    assert found["arms/seed-43/curve.csv"].decode().splitlines()[-1] == "7,nan,nan"
    assert {name: data for name, data in whole[0].items() if "seed-43" not in name} == {
        name: data for name, data in found.items() if "seed-43" not in name
    }
    assert files(4) == whole[1]
    capsys.readouterr()
    train.run(study, 2)
    assert "rank 2 (seed-43) has failed" in capsys.readouterr().err, "also where it is taken from the cache"


def test_a_failed_main_arm_is_an_error(study: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, "4", 6)
    with pytest.raises(
        LaureateError, match=r"^rank 4: the loss is nan at step 7; lower train\.learning_rate"
    ):
        train.run(changed(study, seeds=[42, 43]), 2)
    assert not paths.ADAPTERS.exists()


# --- previews ---


def test_a_preview_of_a_pack_shows_what_each_arm_draws_alone(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first solver step has the same input for all arms: what is shared in training must not be."""
    seen = []
    pictures = preview.Preview.pictures

    def kept(self: preview.Preview) -> Any:
        seen.append(pictures(self))
        return seen[-1]

    monkeypatch.setattr(preview.Preview, "pictures", kept)
    study = changed(study, preview=14, learning_rate=0.02, seeds=[42, 43])
    train.run(study, rank=2)
    (together,) = seen
    assert together.shape[0] == 5
    for index, rank in enumerate((2, 4)):
        forget()
        seen.clear()
        train.run(changed(study, pack=False, seeds=[42]), rank)
        assert abs(seen[0][1].astype(int) - together[1 + 2 * index].astype(int)).max() <= 2
