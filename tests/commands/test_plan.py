"""The plan's numbers are those of real steps: operations exactly, memory within 15 %."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_base
import torch
from torch.utils.flop_counter import FlopCounterMode

from laureate import startup
from laureate.commands import cost_model, operation_counts, plan, plan_machine, step_cost
from laureate.config import params
from laureate.config.params import Train
from laureate.networks.backends import placement
from laureate.networks.diffusion import base_model, noise_schedule
from laureate.networks.lora.adapter import Adapter
from laureate.networks.sources.checkpoint_conversion import LAYOUTS
from laureate.training.objective import Examples, Objective
from laureate.training.trainer import Trainer

# a mid-sized network of Stable Diffusion 2.1's form, so that tensors and not libraries decide
MIDDLE = {"block_out_channels": [64, 128, 256, 256], "attention_head_dim": [2, 4, 8, 8]}


def configs(folder: Path) -> dict[str, dict[str, Any]]:
    """The configurations of a base."""
    found = {part: json.loads((folder / part / "config.json").read_text()) for part in base_model.WEIGHTS}
    found["scheduler"] = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    return found


def real(
    given: dict[str, dict[str, Any]], ranks: list[int], train: Train, side: int
) -> tuple[Trainer, Examples]:
    """A trainer with random weights in bfloat16 on the CPU, and what it trains on."""
    from diffusers import UNet2DConditionModel

    width, channels = given["text_encoder"]["hidden_size"], given["unet"]["in_channels"]
    unet = UNet2DConditionModel.from_config(given["unet"]).eval().requires_grad_(False)
    unet = placement.place_unet(unet, torch.device("cpu"), torch.bfloat16)
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    empty = torch.randn(1, cost_model.TOKENS, width)
    text, encoder = torch.randn(4, cost_model.TOKENS, width, dtype=torch.bfloat16), None
    if train.text_encoder:
        from transformers import CLIPTextConfig, CLIPTextModel

        encoder = CLIPTextModel(CLIPTextConfig(**given["text_encoder"])).eval().requires_grad_(False)
        encoder = placement.place_text(encoder, torch.device("cpu"), torch.bfloat16)
        text, empty = (torch.zeros(count, cost_model.TOKENS, dtype=torch.int64) for count in (4, 1))
    process = noise_schedule.from_config(given["scheduler"])
    trainer = Trainer(Objective(unet, process, train, empty, 0.18, encoder=encoder), adapters)
    latents = side // cost_model.downscale(given)
    shape = (4, channels, latents, latents)
    return trainer, Examples(torch.randn(shape), torch.zeros(shape), text)


def estimated(given: dict[str, dict[str, Any]], ranks: list[int], train: Train, side: int) -> step_cost.Cost:
    """The same, counted."""
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    return cost_model.training(given, adapters, train, side, torch.bfloat16, "plain")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_base.write(tmp_path_factory.mktemp("made") / "base")


@pytest.mark.parametrize(
    ("ranks", "batch", "of_text"), [([4], 3, []), ([2, 4, 8], 2, []), ([2, 4, 8], 2, ["q_proj", "fc1"])]
)
def test_operations_are_those_of_a_real_update(
    small: Path, ranks: list[int], batch: int, of_text: list[str]
) -> None:
    given, train = configs(small), Train(batch=batch, min_snr_gamma=5.0, text_encoder=of_text)
    trainer, examples = real(given, ranks, train, small_base.RESOLUTION)
    with operation_counts.counter() as counter:
        trainer.step(examples, 0)
    counted = estimated(given, ranks, train, small_base.RESOLUTION)
    assert counted.flops == pytest.approx(counter.get_total_flops(), rel=0.02)
    assert counted.adapted == sum(
        tensor.numel() for index in range(len(ranks)) for tensor in trainer.export(index).values()
    )


def test_a_rank_between_two_others_costs_what_it_would_alone(small: Path) -> None:
    given, train = configs(small), Train(batch=2)
    low, middle, high = (estimated(given, [rank], train, small_base.RESOLUTION) for rank in (2, 4, 8))
    guess = step_cost.between(low, high, (4 - 2) / (8 - 2))
    assert (guess.flops, guess.weights, guess.adapted) == (middle.flops, middle.weights, middle.adapted)
    assert guess.temporary == pytest.approx(middle.temporary, rel=0.02)


def test_arms_cost_what_as_many_adapters_do_and_the_plan_counts_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Operations: what is shared is shared by the arms of a seed alone."""
    small_base.study(tmp_path)
    monkeypatch.chdir(tmp_path)
    single = params.load()
    several = single.model_copy(
        update={
            "train": single.train.model_copy(
                update={"seeds": [42, 43, 44], "learning_rates": [1e-2], "snapshots": [7]}
            )
        }
    )
    shutil.copy(root / "data/prompts-choose.yaml", "data")
    shape = plan.shape_of(single)
    one, many = (plan.updates(each, shape, torch.float32, "fused")[1] for each in (single, several))
    assert many.adapted == 6 * one.adapted
    assert 5 * one.flops < many.flops < 6 * one.flops
    made = [plan.estimate(each, shape, (10, 4), torch.float32, "fused") for each in (single, several)]
    assert 5 * made[0].training < made[1].training < 6 * made[0].training
    assert made[0].sampling == made[1].sampling, "pictures are shared out over the seeds"
    assert (made[0].choosing, made[0].candidates) == (0, 1)
    assert made[1].chosen_from == 2 * 36 * (1 + 4), "two ranks, all candidates for three rounds at most"
    assert made[1].choosing / made[1].chosen_from == made[1].sampling / (made[1].drawn * 3)
    plan.run(several)
    printed = capsys.readouterr().out
    assert "all ranks together, with 3 seeds and 2 rates" in printed
    assert "Choosing: 4 candidates of a rank (learning rate, step, strength), at most 360 pictures" in printed


def test_the_text_encoder_counts_where_it_is_trained(small: Path) -> None:
    given = configs(small)
    off, on = (
        estimated(given, [2], Train(batch=2, text_encoder=names), small_base.RESOLUTION)
        for names in ([], ["q_proj", "k_proj", "v_proj", "out_proj"])
    )
    more = 4 * 2 * (24 + 24)  # rank * (in + out) weights a layer
    assert on.adapted - off.adapted == more
    encoder = cost_model.size_of(cost_model.model(given, "text_encoder", torch.bfloat16))
    # the weights in float32, with gradient, two moments and a copy in bfloat16; their product, with gradient
    assert on.weights - off.weights == encoder + more * (4 + 4 + 8 + 2) + 4 * 24 * 24 * (2 + 2)
    assert on.temporary > off.temporary
    # for every sample forwards, and as much again for the gradients of the inputs
    assert on.flops - off.flops > 1.5 * 2 * cost_model.reading(given, 1, torch.bfloat16)
    assert cost_model.reading(given, 3, torch.bfloat16) == 3 * cost_model.reading(given, 1, torch.bfloat16)


def test_operations_of_drawing_and_coding_are_those_of_real_calls(small: Path) -> None:
    given, found = configs(small), base_model.find(small)
    unet, vae = found.unet(), found.vae()
    from diffusers.models.attention_processor import AttnProcessor

    for net in (unet, vae):  # the counter does not know the fused attention of a CPU
        net.set_attn_processor(AttnProcessor())
    inputs = torch.randn(2, 4, 8, 8), torch.tensor([3, 4]), torch.randn(2, 77, 24)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unet(*inputs)
    assert cost_model.drawing(given, 2, 32, torch.float32, "plain").flops == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.encode(torch.randn(1, 3, 32, 32))
    encoded = cost_model.coding(given, 1, 32, "encode").flops
    assert encoded == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_stable_diffusion_two_has_its_known_size() -> None:
    given = configs(LAYOUTS / "sd2-768")
    counts = {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840}
    for part, count in counts.items():
        assert cost_model.size_of(cost_model.model(given, part, torch.bfloat16)) == 2 * count
    cost = cost_model.training(given, [Adapter(4, 4.0)], Train(batch=1), 512, torch.bfloat16, "fused")
    # 32 attention blocks with four layers each: rank * (in + out) weights a layer
    assert cost.adapted == 829_952
    assert 1.6e12 < cost.flops < 2.0e12  # forward about 0.8e12, and as much again for the inputs' gradients


def middle() -> dict[str, dict[str, Any]]:
    """Configurations of the mid-sized network."""
    given = configs(LAYOUTS / "sd2-768")
    return {**given, "unet": {**given["unet"], **MIDDLE}}


def measure() -> None:
    """Run in a process of its own: estimate, then train two steps, and print both as JSON."""
    startup.keep_freed_memory()  # as the command line does
    given, train, ranks, side = middle(), Train(batch=2), [4, 8], 192
    cost, process = estimated(given, ranks, train, side), plan_machine.resident()
    trainer, examples = real(given, ranks, train, side)
    trainer.step(examples, 0)
    lines = Path("/proc/self/status").read_text().splitlines()
    most = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    print(json.dumps({"estimate": cost.memory("cpu", process), "measured": most, "process": process}))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux' /proc")
def test_memory_is_within_fifteen_per_cent_of_the_measured() -> None:
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path[:0] = {[str(here), str(here.parent / 'helpers')]}; import test_plan"
    code += "; test_plan.measure()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["measured"] > 1.4 * found["process"]  # else the libraries alone would be compared
    assert found["estimate"] == pytest.approx(found["measured"], rel=0.15)


def test_the_plan_of_a_study_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_base.study(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan.run(params.load())
    printed = capsys.readouterr().out
    assert "Pictures: 10 to train on, 4 held out, at 32 px" in printed
    assert "14 updates of 2 pictures each (3 epochs), all ranks together" in printed
    assert "Drawing: 4 pictures of each of 3 models at 32 px, 2 steps" in printed
    assert list((tmp_path / ".work").iterdir()) == [tmp_path / ".work/plan.json"]
    asked = params.load()
    asked = asked.model_copy(update={"train": asked.train.model_copy(update={"text_encoder": ["fc1"]})})
    plan.run(asked)
    assert "all ranks together, of the text encoder too" in capsys.readouterr().out


def test_the_plan_of_stable_diffusion_before_anything_is_fetched(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from laureate.commands import world as worlds

    values, world = (root / "params.yaml").read_text(), (root / "worlds/nobel.yaml").read_text()
    text, _ = worlds.switched(values, world)
    for name in ("data/prompts.yaml", "data/prompts-embedded.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((root / name).read_text())
    monkeypatch.chdir(tmp_path)
    nobel = params.parse(text, "params.yaml")
    nobel = nobel.model_copy(update={"ranks": [4], "selected": "rank-4"})  # one is enough for a test
    plan.run(nobel, pictures=200)
    printed = capsys.readouterr().out
    assert "not there yet; its shape is taken from the layout sd2-768" in printed
    assert "To download: base (5.2 GB), portraits" in printed
    assert "Pictures: 200 to train on" in printed
    assert "On one H100: about" in printed
    assert "Note:" not in printed
    smaller = nobel.model_copy(update={"prepare": nobel.prepare.model_copy(update={"resolution": 512})})
    made = plan.estimate(smaller, plan.shape_of(smaller), (200, 20), torch.bfloat16, "fused")
    assert any("trained at 768 px, this study trains at 512" in line for line in plan.summary(smaller, made))
    assert sorted(tmp_path.iterdir()) == [tmp_path / ".work", tmp_path / "data"]
