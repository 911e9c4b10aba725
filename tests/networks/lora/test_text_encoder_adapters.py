"""Adapters on the text encoder: PEFT's gradients and steps on both parts at once, and packed as alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from trained import changed

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.networks.backends import placement  # noqa: E402
from laureate.networks.diffusion import base_model, noise_schedule  # noqa: E402
from laureate.networks.lora import injection  # noqa: E402
from laureate.networks.lora.adapter import TEXT, UNET, Adapter  # noqa: E402
from laureate.stages import encode  # noqa: E402
from laureate.torch_utils import safetensors_io as tensors  # noqa: E402
from laureate.torch_utils.distributed import Team  # noqa: E402
from laureate.training import objective  # noqa: E402
from laureate.training import trainer as training  # noqa: E402

LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]
VARIANTS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"variant": "rslora"},
    "dora": {"variant": "dora"},
    "pissa": {"init": "pissa"},
}
PEFT: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
}


@pytest.fixture
def study(study: params.Params) -> params.Params:
    """The small study with the text encoder trained too."""
    return changed(study, text_encoder=LAYERS, learning_rate=1.0e-2)


def trainer(
    study: params.Params, ranks: Sequence[int], team: Team | None = None, dtype: Any = torch.float32
) -> tuple[training.Trainer, objective.Examples]:
    """A trainer of some ranks, and the pictures to train on."""
    found, data = base_model.find("base"), tensors.load(encode.ENCODED)
    here, asked = torch.device("cpu"), bool(study.train.text_encoder)
    text = "ids" if asked else "text"
    question = objective.Objective(
        placement.place_unet(found.unet(dtype), here, dtype),
        noise_schedule.from_config(found.scheduler),
        study.train,
        data[f"empty.{text}"],
        found.scaling_factor,
        team or Team(),
        placement.place_text(found.text_encoder(dtype), here, dtype) if asked else None,
    )
    made = training.Trainer(question, [training.adapter(study.train, rank) for rank in ranks])
    captions = data[f"train.{text}"].to(question.empty.dtype)
    return made, objective.Examples(data["train.mean"], data["train.logvar"], captions)


def losses(unet: Any, encoder: Any, ids: Any, count: int = 1) -> Any:
    """One number per adapter, which depends on every weight of both."""
    source = torch.Generator().manual_seed(1)
    x = torch.randn(len(ids), 4, 8, 8, generator=source).repeat(count, 1, 1, 1)
    t = torch.randint(1000, (len(ids),), generator=source).repeat(count)
    text = encoder(ids.repeat(count, 1).long())[0]
    return unet(x, t, encoder_hidden_states=text).sample.square().mean(dim=(1, 2, 3)).view(count, -1).sum(1)


def test_the_ids_are_what_the_embeddings_were_made_of(study: params.Params) -> None:
    data, found = tensors.load(encode.ENCODED), base_model.find("base")
    encoder = found.text_encoder()
    for part, count in (("train", 10), ("holdout", 4), ("empty", 1)):
        ids = data[f"{part}.ids"]
        assert (ids.shape, ids.dtype) == ((count, 77), torch.int32)
        with torch.no_grad():
            assert torch.equal(encoder(ids.long())[0], data[f"{part}.text"])


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_of_both_parts_are_pefts(study: params.Params, name: str) -> None:
    """In a stack of two, against PEFT alone; the text encoder's come through the UNet."""
    from peft import LoraConfig

    found, ids = base_model.find("base"), tensors.load(encode.ENCODED)["train.ids"][:2]
    adapters = [Adapter(rank, alpha, **VARIANTS[name]) for rank, alpha in ((2, 2.0), (6, 4.0))]
    unet, encoder = found.unet(), found.text_encoder()
    parts = {
        UNET: injection.attach(unet, adapters, study.train.targets, 0),
        TEXT: injection.attach(encoder, adapters, LAYERS, 0, TEXT),
    }
    source = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for layer in (layer for layers in parts.values() for layer in layers.values()):
            for index in range(2):
                own = layer.own("b", index)
                own += 0.3 * torch.randn(own.shape, generator=source)
    ours = losses(unet, encoder, ids, 2)
    ours.sum().backward()
    for index, adapter in enumerate(adapters):
        theirs = {UNET: found.unet(), TEXT: found.text_encoder()}
        for part, net in theirs.items():
            targets = LAYERS if part == TEXT else study.train.targets
            net.add_adapter(
                LoraConfig(r=adapter.rank, lora_alpha=adapter.alpha, target_modules=targets, **PEFT[name])
            )
            for key, layer in parts[part].items():
                module = net.get_submodule(key.removeprefix(part.label))
                with torch.no_grad():
                    module.lora_A["default"].weight.copy_(layer.own("a", index).T)
                    module.lora_B["default"].weight.copy_(layer.own("b", index).T)
        expected = losses(theirs[UNET], theirs[TEXT], ids)
        assert float(ours[index].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        expected.sum().backward()
        for part, net in theirs.items():
            assert len(parts[part]) == (
                4 if part == TEXT else len(injection.find_targets(found.unet(), study.train.targets))
            )
            for key, layer in parts[part].items():
                module = net.get_submodule(key.removeprefix(part.label))
                grads = {p: getattr(module, f"lora_{p.upper()}")["default"].weight.grad.T for p in "ab"}
                if name == "dora":
                    grads["m"] = module.lora_magnitude_vector["default"].weight.grad[None]
                for which, gradient in grads.items():
                    assert gradient.any(), (key, which)
                    far = (layer.gradient(which, index) - gradient).norm()
                    assert far <= 1e-5 * gradient.norm() + 1e-9, (key, which)


def test_a_step_is_pefts_with_adamw(study: params.Params) -> None:
    """Captions left out, one norm of both parts to clip by, AdamW: two steps, and the held-out loss after."""
    from peft import LoraConfig

    study = changed(
        study,
        max_grad_norm=0.01,
        warmup=0,
        schedule="constant",
        caption_dropout=0.5,
        batch=4,
        weight_decay=0.1,
    )
    ours, examples = trainer(study, [4])
    found = base_model.find("base")
    theirs = {"": found.unet(), TEXT.label: found.text_encoder()}
    theirs[""].add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=study.train.targets))
    theirs[TEXT.label].add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=LAYERS))
    pairs = [
        (layer, theirs[label].get_submodule(name.removeprefix(label)))
        for name, layer in ours.layers.items()
        for label in (TEXT.label if name.startswith(TEXT.label) else "",)
    ]
    with torch.no_grad():
        for layer, module in pairs:
            module.lora_A["default"].weight.copy_(layer.own("a", 0).T)
    weights = [weight for net in theirs.values() for weight in net.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.1)
    process, empty = noise_schedule.from_config(found.scheduler), ours.objective.empty

    def loss(numbers: objective.Draw) -> Any:
        clean = noise_schedule.draw_latents(
            examples.mean[numbers.rows],
            examples.logvar[numbers.rows],
            numbers.posterior,
            found.scaling_factor,
        )
        ids = torch.where(numbers.empty[:, None], empty, examples.text[numbers.rows])
        noisy = noise_schedule.add_noise(process, clean, numbers.noise, numbers.t)
        output = theirs[""](noisy, numbers.t, encoder_hidden_states=theirs[TEXT.label](ids)[0]).sample
        return (output - noise_schedule.target(process, clean, numbers.noise, numbers.t)).square().mean()

    for step in range(2):
        got = ours.step(examples, step)
        numbers = objective.draw(study.train.seeds[0], step, 4, 10, (4, 8, 8), 1000, 0.5)
        assert 0 < int(numbers.empty.sum()) < 4 or step
        wanted = loss(numbers)
        optimizer.zero_grad()
        wanted.backward()
        torch.nn.utils.clip_grad_norm_(weights, study.train.max_grad_norm)
        optimizer.step()
        assert float(got[0]) == pytest.approx(float(wanted.detach()), rel=1e-5)
    for layer, module in pairs:
        torch.testing.assert_close(layer.own("b", 0).T, module.lora_B["default"].weight, atol=2e-4, rtol=1e-3)
    with torch.no_grad():
        held = float(loss(objective.holdout_draw(study.train.seeds[0], 10, (4, 8, 8), 1000)))
    assert float(ours.holdout_loss(examples)[0]) == pytest.approx(held, rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"dropout": {2: 0.2, 8: 0.5}}, {"variant": "dora", "alpha": 3.0}])
def test_packed_is_alone(study: params.Params, settings: dict[str, Any]) -> None:
    """The norm of every difference between weights is below 1e-4 of the weights', in float32."""
    study = changed(study, learning_rate=1.0e-3, **settings)
    both, examples = trainer(study, [2, 8])
    alone = [trainer(study, [rank])[0] for rank in (2, 8)]
    for step in range(12):
        for each in (both, *alone):
            each.step(examples, step)
    for index, single in enumerate(alone):
        packed = both.export(index)
        for name, tensor in single.export(0).items():
            assert (packed[name] - tensor).norm() <= 1e-4 * tensor.norm(), name
        moved = [tensor for name, tensor in packed.items() if name.startswith("text_encoder.")]
        assert len(moved) == (12 if "variant" in settings else 8)
        assert all(tensor.any() for tensor in moved)


class Halves(Team):
    """A team of two threads, which add up what both have."""

    meeting = threading.Barrier(2)
    heaps: dict[int, list[Any]] = {}  # noqa: RUF012 - both are meant

    def sum_over_processes(self, tensors: Sequence[Any]) -> None:
        self.heaps[self.index] = [tensor.clone() for tensor in tensors]
        self.meeting.wait(60)
        for tensor, *parts in zip(tensors, *self.heaps.values(), strict=True):
            tensor.copy_(sum(parts))
        self.meeting.wait(60)


def test_two_halves_of_every_batch_train_what_the_whole_does(study: params.Params) -> None:
    study = changed(study, dropout=0.2, learning_rate=1.0e-3)
    one, examples = trainer(study, [2, 4])
    team = [trainer(study, [2, 4], Halves(index, 2))[0] for index in range(2)]

    def work(each: training.Trainer) -> None:
        for step in range(14):
            each.step(examples, step)

    threads = [threading.Thread(target=work, args=(each,)) for each in team]
    for thread in threads:
        thread.start()
    work(one)
    for thread in threads:
        thread.join()
    for index in range(2):
        wanted = one.export(index)
        for each in team:
            for name, tensor in each.export(index).items():
                assert (tensor - wanted[name]).norm() <= 1e-4 * tensor.norm(), name


def test_bfloat16_learns_too(study: params.Params) -> None:
    made, examples = trainer(changed(study, steps=40, batch=8), [8], dtype=torch.bfloat16)
    before = float(made.holdout_loss(examples)[0])
    for step in range(40):
        assert torch.isfinite(made.step(examples, step)).all()
    assert float(made.holdout_loss(examples)[0]) < before
    assert all(tensor.dtype == torch.float32 for tensor in made.export(0).values())
