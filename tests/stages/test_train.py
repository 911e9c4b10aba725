"""Encoding and training: a data set goes in, adapters come out; a killed run goes on where it was."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trained import changed

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.backends import device_rules  # noqa: E402
from laureate.networks.diffusion import base_model, noise_schedule  # noqa: E402
from laureate.stages import encode  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402
from laureate.training import objective  # noqa: E402
from laureate.training import trainer as training  # noqa: E402

# --- encode ---


def test_encoded_data_are_named_in_the_header_and_the_same_every_time(study: params.Params) -> None:
    data, header = safetensors_io.load(encode.ENCODED), safetensors_io.metadata(encode.ENCODED)
    assert {name: tuple(tensor.shape) for name, tensor in data.items()} == {
        "empty.ids": (1, 77),
        "empty.text": (1, 77, 24),
        "train.ids": (10, 77),
        "train.mean": (10, 4, 8, 8),
        "train.logvar": (10, 4, 8, 8),
        "train.text": (10, 77, 24),
        "holdout.ids": (4, 77),
        "holdout.mean": (4, 4, 8, 8),
        "holdout.logvar": (4, 4, 8, 8),
        "holdout.text": (4, 77, 24),
    }
    for name, tensor in data.items():
        assert tensor.dtype == (torch.int32 if name.endswith(".ids") else torch.float32), name
    assert header["base"] == base_model.find("base").fingerprint
    assert json.loads(header["holdout.files"]) == [f"holdout-{n}.png" for n in range(4)]
    assert float(header["scaling_factor"]) == base_model.find("base").scaling_factor
    before = encode.ENCODED.read_bytes()
    encode.run(study)
    assert encode.ENCODED.read_bytes() == before
    decoded = sorted(paths.RECONSTRUCTED.iterdir())
    assert [file.name for file in decoded] == [f"train-{n}.png" for n in range(10)]
    with torch.inference_mode():
        whole = base_model.find("base").vae().decode(data["train.mean"]).sample
    for file, expected in zip(decoded, whole, strict=True):
        with Image.open(file) as picture:
            pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        wanted = (expected / 2 + 0.5).clamp(0, 1) * 255
        assert (pixels.float() - wanted).abs().max() <= 0.51
    (encode.DATASET / "left_out.jsonl").write_text("")
    encode.run(study)
    assert safetensors_io.metadata(encode.ENCODED)["dataset"] != header["dataset"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no picture"),
        ("nonsense\n", "row 1 must be JSON with file_name and text"),
        ('{"file_name": "train-0.png"}\n', "row 1 must be JSON with file_name and text"),
        ('{"file_name": "lost.png", "text": "A man."}\n', r"row 1: there is no picture lost\.png"),
        (
            '{"file_name": "metadata.jsonl", "text": "A man."}\n',
            r"jsonl cannot be read as a picture",
        ),
    ],
)
def test_a_bad_data_set_is_named(study: params.Params, text: str, sentence: str) -> None:
    (encode.DATASET / "train" / "metadata.jsonl").write_text(text)
    with pytest.raises(LaureateError, match=sentence):
        encode.run(study)


def test_a_missing_data_set_and_a_picture_of_odd_size_are_named(study: params.Params) -> None:
    from PIL import Image

    Image.new("RGB", (33, 32)).save(encode.DATASET / "train" / "train-3.png")
    with pytest.raises(LaureateError, match=r"train-3\.png is 33 x 32; both must be multiples of 4"):
        encode.run(study)
    shutil.rmtree(encode.DATASET)
    with pytest.raises(LaureateError, match="run `laureate prepare` first"):
        encode.run(study)


# --- the trainer ---


def asked(study: params.Params) -> tuple[objective.Objective, objective.Examples]:
    """What a UNet without adapters is asked, and the pictures to train on."""
    found, data = base_model.find("base"), safetensors_io.load(encode.ENCODED)
    process = noise_schedule.from_config(found.scheduler)
    made = objective.Objective(found.unet(), process, study.train, data["empty.text"], found.scaling_factor)
    return made, objective.Examples(data["train.mean"], data["train.logvar"], data["train.text"])


def trainer(study: params.Params, ranks: list[int]) -> tuple[training.Trainer, objective.Examples]:
    """A trainer of some ranks, and the pictures to train on."""
    made, examples = asked(study)
    return training.Trainer(made, [training.adapter(study.train, rank) for rank in ranks]), examples


@pytest.mark.parametrize(("key", "value"), [("variant", "lora"), ("variant", "dora"), ("init", "pissa")])
def test_every_adapter_starts_as_the_base(study: params.Params, key: str, value: str) -> None:
    """So the stage looks at the base once, before there are adapters."""
    study = changed(study, **{key: value})
    without, examples = asked(study)
    before = without.holdout_loss(examples)
    made = training.Trainer(without, [training.adapter(study.train, rank) for rank in (2, 3)])
    torch.testing.assert_close(made.holdout_loss(examples), before.expand(2), rtol=1e-5, atol=0)


def test_the_held_out_loss_is_the_same_however_many_are_looked_at_together(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for batch, size in (
        (1, 1),
        (3, 1),
        (1, 128),
        (1, device_rules.HELD_OUT_POSITIONS),
    ):  # 64 positions a picture
        monkeypatch.setattr(device_rules, "HELD_OUT_POSITIONS", size)
        made, examples = trainer(changed(study, batch=batch), [2, 3])
        with torch.no_grad():
            for layer in made.layers.values():
                for index in range(2):
                    layer.own("b", index).fill_(0.1 * (index + 1))
        calls = 0

        def predict(*inputs: Any, calls_of: Any = made.objective.predict, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            return calls_of(*inputs, **named)

        made.objective.predict = predict
        found.append(made.holdout_loss(examples))
        samples = objective.HOLDOUT_STEPS * len(examples)
        assert calls == -(-samples // max(batch, size // 64))
    assert not torch.equal(found[0][0], found[0][1])
    for loss in found[1:]:
        torch.testing.assert_close(loss, found[0], rtol=1e-5, atol=0)


def test_one_step_is_pefts_with_adamw(study: params.Params) -> None:
    """Gradient clipping, AdamW and two steps, against PEFT, torch's clip_grad_norm_ and plain AdamW."""
    from peft import LoraConfig

    study = changed(study, max_grad_norm=0.01, learning_rate=1e-2, warmup=0, schedule="constant")
    ours, examples = trainer(study, [4])
    found = base_model.find("base")
    unet = found.unet()
    unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=study.train.targets))
    with torch.no_grad():
        for name, layer in ours.layers.items():
            unet.get_submodule(name).lora_A["default"].weight.copy_(layer.own("a", 0).T)
    weights = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=study.train.weight_decay)
    process = noise_schedule.from_config(found.scheduler)
    for step in range(2):
        loss = ours.step(examples, step)
        numbers = objective.draw(
            study.train.seeds[0], step, 2, 10, (4, 8, 8), 1000, study.train.caption_dropout
        )
        clean = noise_schedule.draw_latents(
            examples.mean[numbers.rows],
            examples.logvar[numbers.rows],
            numbers.posterior,
            found.scaling_factor,
        )
        text = torch.where(numbers.empty[:, None, None], ours.objective.empty, examples.text[numbers.rows])
        noisy = noise_schedule.add_noise(process, clean, numbers.noise, numbers.t)
        output = unet(noisy, numbers.t, encoder_hidden_states=text).sample
        theirs = (output - noise_schedule.target(process, clean, numbers.noise, numbers.t)).square().mean()
        optimizer.zero_grad()
        theirs.backward()
        torch.nn.utils.clip_grad_norm_(weights, study.train.max_grad_norm)
        optimizer.step()
        assert float(loss[0]) == pytest.approx(float(theirs.detach()), rel=1e-5)
    for name, layer in ours.layers.items():
        torch.testing.assert_close(
            layer.own("b", 0).T, unet.get_submodule(name).lora_B["default"].weight, atol=2e-4, rtol=1e-3
        )


@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_clipping_scales_large_gradients_down_and_leaves_small_ones(
    study: params.Params, limit: float
) -> None:
    """Each adapter's by its own norm, as `torch.nn.utils.clip_grad_norm_` does."""
    made, examples = trainer(changed(study, max_grad_norm=limit), [2, 8])
    made.backward(examples, made.objective.numbers(examples, 0))
    before = [gradient.clone() for gradient in made.flat.gradients]
    norms = made.flat.norms()
    assert (norms > 1e-3).all()
    assert (norms < 1e3).all()
    made._clip()
    after = made.flat.norms()
    if limit > 1:
        assert all(torch.equal(ours, old) for ours, old in zip(made.flat.gradients, before, strict=True))
    else:
        torch.testing.assert_close(after, torch.full((2,), limit), rtol=1e-2, atol=0)
        for gradient, old in zip(made.flat.gradients, before, strict=True):
            torch.testing.assert_close(gradient / gradient.norm(), old / old.norm())


@pytest.mark.parametrize(
    ("steps", "settings"),
    [
        (50, {}),
        (10, {"targets": ["to_q", "conv1"], "min_snr_gamma": 5.0, "dropout": {2: 0.2, 4: 0.0, 8: 0.5}}),
        (10, {"variant": "dora", "learning_rate": {2: 1.0e-2, 4: 1.0e-3, 8: 3.0e-3}}),
        (10, {"variant": "rslora", "init": "pissa", "alpha": {2: 1.0, 4: "rank", 8: 16.0}}),
    ],
)
def test_packed_paired_and_alone_are_the_same_after_50_steps(
    study: params.Params, steps: int, settings: dict[str, Any]
) -> None:
    """The norm of every difference between weights is below 1e-4 of the weights', in float32."""
    ranks = (2, 4, 8)
    study = changed(study, steps=steps, **settings)
    trained: dict[tuple[int, ...], list[dict[str, Any]]] = {}
    for pack in (ranks, ranks[:2], *((rank,) for rank in ranks)):
        made, examples = trainer(study, list(pack))
        for step in range(steps):
            made.step(examples, step)
        trained[pack] = [made.export(index) for index in range(len(pack))]
    for index, rank in enumerate(ranks):
        alone = trained[(rank,)][0]
        for others in (trained[ranks], trained[ranks[:2]])[: 2 if index < 2 else 1]:
            for name, tensor in alone.items():
                assert (others[index][name] - tensor).norm() <= 1e-4 * tensor.norm(), (rank, name)
    moved = trained[ranks][0]
    assert any(tensor.abs().max() > 0 for name, tensor in moved.items() if "lora_B" in name)


def test_every_rank_has_its_own_learning_rate(study: params.Params) -> None:
    """Three steps of AdamW at a rank's rate in a pack are torch's at that rate alone."""
    rates = {2: 1.0e-2, 4: 2.0e-3}
    both, examples = trainer(changed(study, learning_rate=rates), [2, 4])
    for index, rank in enumerate(rates):
        alone, _ = trainer(changed(study, learning_rate=rates[rank]), [rank])
        if index:
            both, _ = trainer(changed(study, learning_rate=rates), [2, 4])
        for step in range(3):
            both.step(examples, step)
            alone.step(examples, step)
        for name, tensor in alone.export(0).items():
            assert (both.export(index)[name] - tensor).norm() <= 1e-4 * tensor.norm(), name


def test_a_compiled_unet_trains_the_same(study: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    original, modes = torch.compile, []

    def compile_traced(model: Any, mode: str) -> Any:
        modes.append(mode)
        return original(model, backend="eager")  # traced; compiling takes minutes on a CPU

    monkeypatch.setattr(torch, "compile", compile_traced)
    compiled, examples = trainer(changed(study, compile="max-autotune"), [2, 4])
    plain, _ = trainer(study, [2, 4])
    for step in range(2):
        torch.testing.assert_close(compiled.step(examples, step), plain.step(examples, step))
    assert modes == ["max-autotune"]
    for name, tensor in plain.export(1).items():
        torch.testing.assert_close(compiled.export(1)[name], tensor, atol=1e-5, rtol=1e-3)


def test_training_learns(study: params.Params) -> None:
    longer = changed(study, steps=60, learning_rate=5e-3, batch=8)
    made, examples = trainer(longer, [8])
    before = float(made.holdout_loss(examples)[0])
    for step in range(60):
        made.step(examples, step)
    assert float(made.holdout_loss(examples)[0]) < 0.97 * before
