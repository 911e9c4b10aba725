"""Stacks that step side by side train what one stack does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trained import changed

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.networks.diffusion import base_model, noise_schedule  # noqa: E402
from laureate.networks.lora.arm import arms_of  # noqa: E402
from laureate.stages import encode  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402
from laureate.training import objective, pack, preview, trainer  # noqa: E402

STEPS = 6


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def packed(
    study: params.Params, stacks: int | None = None
) -> tuple[pack.Pack, dict[str, objective.Examples]]:
    """A pack of three ranks with two seeds each, and the pictures."""
    found, data = base_model.find("base"), safetensors_io.load(encode.ENCODED)
    arms = [arm for rank in (2, 4, 8) for arm in arms_of(study.train, rank)]
    question = objective.Objective(
        found.unet(),
        noise_schedule.from_config(found.scheduler),
        study.train,
        data["empty.text"],
        found.scaling_factor,
        seeds=list(dict.fromkeys(arm.seed for arm in arms)),
    )
    pictures = {
        part: objective.Examples(*(data[f"{part}.{name}"] for name in ("mean", "logvar", "text")))
        for part in ("train", "holdout")
    }
    adapters = [trainer.adapter(study.train, arm.rank) for arm in arms]
    return pack.Pack(question, adapters, arms, stacks), pictures


def trained(
    study: params.Params, stacks: int | None = None
) -> tuple[pack.Pack, list[torch.Tensor], torch.Tensor]:
    """A pack after STEPS, its losses, and its held-out losses."""
    made, pictures = packed(study, stacks)
    losses = [made.step(pictures["train"], step) for step in range(STEPS)]
    return made, losses, made.holdout_loss(pictures["holdout"])


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.3}, {"targets": ["to_q", "conv1"], "init": "pissa"}])
def test_side_by_side_trains_what_one_stack_does(
    study: params.Params, settings: dict[str, object], four_threads: None
) -> None:
    study = changed(study, steps=STEPS, seeds=[42, 7], **settings)
    several, losses, held_out = trained(study)
    assert [len(each.arms) for each in several.trainers] == [1, 2, 1, 2]
    one, same_losses, same_held_out = trained(study, 1)
    assert len(one.trainers) == 1
    torch.testing.assert_close(torch.stack(losses), torch.stack(same_losses), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(held_out, same_held_out, rtol=1e-4, atol=1e-5)
    for index in range(len(one.arms)):
        ours, theirs = several.export(index), one.export(index)
        assert list(ours) == list(theirs)
        apart = sum(float((ours[name] - theirs[name]).norm() ** 2) for name in ours) ** 0.5
        assert apart <= 1e-4 * sum(float(tensor.norm() ** 2) for tensor in theirs.values()) ** 0.5


def test_the_copies_share_the_frozen_weights(study: params.Params) -> None:
    made, _ = packed(changed(study, seeds=[42, 7]), 4)
    frozen = [
        {
            parameter.data_ptr()
            for parameter in each.objective.unet.parameters()
            if not parameter.requires_grad
        }
        for each in made.trainers
    ]
    assert len(frozen) == 4
    assert all(part == frozen[0] for part in frozen)


def test_it_goes_on_from_its_state(study: params.Params) -> None:
    study = changed(study, steps=STEPS, seeds=[42, 7])
    made, pictures = packed(study, 4)
    for step in range(3):
        made.step(pictures["train"], step)
    kept = {key: part.clone() for key, part in made.state().items()}
    again, _ = packed(study, 4)
    again.restore(kept, 3)
    for step in range(3, STEPS):
        made.step(pictures["train"], step)
        again.step(pictures["train"], step)
    one, other = made.state(), again.state()
    assert list(one) == list(other)
    assert all(torch.equal(part, other[key]) for key, part in one.items())


def test_a_preview_has_the_pictures_of_all_stacks(study: params.Params, tmp_path: Path) -> None:
    study = changed(study, steps=STEPS, seeds=[42, 7])
    found, shown = base_model.find("base"), []
    for stacks in (4, 1):
        made, _, _ = trained(study, stacks)
        _, pictures = packed(study)
        drawn = preview.Preview(made, pictures["holdout"], found.vae(), found.scheduler, tmp_path)
        shown.append(drawn.pictures())
    assert shown[0].shape == shown[1].shape
    assert len(shown[0]) == 1 + 6
    assert abs(shown[0].astype(int) - shown[1].astype(int)).max() <= 2


@given(count=st.integers(1, 60), most=st.integers(1, 20))
def test_arms_are_shared_out_evenly_in_order(count: int, most: int) -> None:
    parts = pack.shares(count, most)
    assert [index for part in parts for index in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert len(parts) == min(count, most)
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


def test_a_team_and_a_compiled_network_have_one_stack(study: params.Params, four_threads: None) -> None:
    made, _ = packed(changed(study, seeds=[42, 7]))
    whole = made.trainers[0].objective
    assert pack.side_by_side(whole) == 4
    whole.train = whole.train.model_copy(update={"compile": "default"})
    assert pack.side_by_side(whole) == 1
