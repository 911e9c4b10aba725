"""`laureate export`: keys and metadata of the formats, and the same update when a file is loaded back."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_base
from shell import run as shell

torch = pytest.importorskip("torch")

from trained import changed  # noqa: E402

from laureate import cli  # noqa: E402
from laureate.commands import export  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.formats.imagefolder import dataset_fingerprint  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.stages import train  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402

TARGETS = small_base.TARGETS
# Stable Diffusion 2.1's unet/config.json, as far as it is not diffusers' default
SD21: dict[str, Any] = {
    "sample_size": 96,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
# the same blocks and layers, ten times narrower
NARROW = SD21 | {
    "sample_size": 8,
    "block_out_channels": (32, 64, 128, 128),
    "attention_head_dim": (1, 2, 4, 4),
    "cross_attention_dim": 48,
}


def unet_of(config: dict[str, Any], device: str = "cpu") -> Any:
    from diffusers import UNet2DConditionModel

    with torch.device(device), torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet2DConditionModel(**config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def sd21() -> Any:
    """Stable Diffusion 2.1's UNet, shapes only."""
    return unet_of(SD21, "meta")


def listed(root: Path) -> list[dict[str, str]]:
    """The list of what the loaders expect."""
    lines = (root / "data/lora-keys-sd21.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_the_keys_are_those_that_kohya_and_comfyui_expect_of_sd21(root: Path, sd21: Any) -> None:
    assert sum(p.numel() for p in sd21.parameters()) == 865_910_724
    found = export.kohya(*small_base.adapter(sd21, 16, 16.0))
    wanted: dict[str, tuple[int, ...]] = {}
    for row in listed(root):
        wanted |= {
            f"{row['kohya']}.lora_down.weight": (16, int(row["in"])),
            f"{row['kohya']}.lora_up.weight": (int(row["out"]), 16),
            f"{row['kohya']}.alpha": (),
        }
    assert len(wanted) == 3 * 128
    assert {key: tuple(tensor.shape) for key, tensor in found.items()} == wanted


def test_the_list_follows_the_loaders_rules(root: Path, sd21: Any) -> None:
    """Kohya's: a linear layer under a Transformer2DModel, dots to underscores; ComfyUI's: blocks in a row."""
    kohya = {}
    for name, module in sd21.named_modules():
        if type(module).__name__ == "Transformer2DModel":
            for child, layer in module.named_modules():
                if isinstance(layer, torch.nn.Linear) and child.endswith(tuple(TARGETS)):
                    kohya[f"{name}.{child}"] = "lora_unet_" + f"{name}.{child}".replace(".", "_")
    assert {row["layer"]: row["kohya"] for row in listed(root)} == kohya
    for row in listed(root):
        kind, number, _, index, *rest = [*row["layer"].split(".")]
        if kind == "mid_block":
            kind, place, rest = "middle_block", "1", row["layer"].split(".")[3:]
        elif kind == "down_blocks":  # after the first convolution, two layers and a halving per level
            kind, place = "input_blocks", f"{1 + 3 * int(number) + int(index)}.1"
        else:  # three layers per level; the first level has no attention
            kind, place = "output_blocks", f"{3 * int(number) + int(index)}.1"
        assert row["comfyui"] == f"diffusion_model.{kind}.{place}.{'.'.join(rest)}.weight"


@pytest.mark.parametrize("alpha", [4.0, 1.0])
@pytest.mark.parametrize("to", ["kohya", "comfyui", "diffusers"])
def test_diffusers_loads_it_back_to_the_same_output(tmp_path: Path, to: str, alpha: float) -> None:
    unet = unet_of(NARROW)
    expected = unet_of(NARROW)
    state, adapter = small_base.adapter(unet, 4, alpha)
    adapter_files.merge(expected, state, adapter)
    if to == "diffusers":
        adapter_files.save(tmp_path, state, adapter, TARGETS)
        path = tmp_path / paths.ADAPTER_WEIGHTS
    else:
        path = tmp_path / "adapter.safetensors"
        safetensors_io.save(path, export.kohya(state, adapter), {"format": "pt"})
    before = output(unet, NARROW)
    load(unet, path)
    after = output(unet, NARROW)
    assert (after - output(expected, NARROW)).abs().max() < 1e-5
    assert (after - before).abs().max() > 1e-2  # and it is not the base's


def load(unet: Any, path: Path) -> None:
    """As `StableDiffusionPipeline.load_lora_weights` does, for the UNet alone."""
    from diffusers import StableDiffusionPipeline as Pipeline

    state, alphas, metadata = Pipeline.lora_state_dict(str(path), return_lora_metadata=True)
    Pipeline.load_lora_into_unet(state, alphas, unet, metadata=metadata)


def fresh(folder: Path) -> Path:
    """The folder, removed."""
    shutil.rmtree(folder)
    return folder


def output(unet: Any, config: dict[str, Any]) -> Any:
    generator, size = torch.Generator().manual_seed(1), int(config["sample_size"])
    latents = torch.randn(2, 4, size, size, generator=generator)
    text = torch.randn(2, 5, int(config["cross_attention_dim"]), generator=generator)
    with torch.no_grad():
        return unet(latents, torch.tensor([10, 900]), encoder_hidden_states=text).sample


@pytest.fixture(scope="module")
def made(encoded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with a trained adapter whose alpha is not its rank, in a git repository."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(changed(params.load(), alpha=1.0, learning_rate=0.1), 2)
    for command in (["init", "--quiet"], ["add", "params.yaml"], ["commit", "--quiet", "-m", "a study"]):
        shell("git", *command, cwd=folder)
    return folder


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(made)


@pytest.mark.parametrize("to", export.FORMS)
def test_the_command_writes_a_file_that_says_where_it_is_from(study: Path, to: str) -> None:
    assert cli.main(["export", "--rank", "2", "--to", to, "--out", f"out/{to}.safetensors"]) == 0
    path = study / f"out/{to}.safetensors"
    about = safetensors_io.metadata(path)
    found = base_model.find("base")
    assert about["laureate.base"] == found.fingerprint
    assert about["laureate.base_source"] == found.source
    assert about["laureate.dataset"] == dataset_fingerprint(paths.DATASET)
    assert about["laureate.commit"] == shell("git", "rev-parse", "HEAD", cwd=study).strip()
    recipe = json.loads(about["laureate.recipe"])
    assert (recipe["rank"], recipe["train"]["alpha"], recipe["train"]["steps"]) == (2, 1.0, 14)
    if to != "diffusers":
        assert about["ss_network_dim"] == "2"
        assert about["ss_network_alpha"] == "1"
        assert about["modelspec.prediction_type"] == "v"
    unet, expected = found.unet(), found.unet()
    adapter_files.merge(expected, *adapter_files.load("models/lora/rank-2"))
    load(unet, path)
    config = {"sample_size": 8, "cross_attention_dim": 24}
    assert (output(unet, config) - output(expected, config)).abs().max() < 1e-5


def test_the_names_are_those_that_diffusers_gives() -> None:
    """But for alpha, where it writes the rank, and for the text encoder, which it calls SDXL's first."""
    from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya

    halves = {"lora_A": (2, 3), "lora_B": (3, 2)}
    state = {
        f"{layer}.{half}.weight": torch.randn(shape)
        for layer in (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0",
            "unet.mid_block.resnets.0.conv1",
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
        )
        for half, shape in halves.items()
    }
    converted = export.kohya(state, Adapter(2, 7.0))
    wanted = {
        name.replace("lora_te1_", "lora_te_"): tensor
        for name, tensor in convert_state_dict_to_kohya(dict(state)).items()
    }
    assert converted.keys() == wanted.keys()
    for name, tensor in wanted.items():
        alpha = name.endswith(".alpha")
        assert torch.equal(torch.as_tensor(converted[name]), torch.tensor(7.0) if alpha else tensor), name


def test_an_adapter_with_magnitudes_stays_with_diffusers(study: Path) -> None:
    state, adapter = adapter_files.load("models/lora/rank-2")
    with pytest.raises(LaureateError, match="DoRA has no form"):
        export.kohya(state, replace(adapter, variant="dora"))


def test_the_same_adapter_gives_the_same_bytes(study: Path) -> None:
    for _ in range(2):
        export.run(params.load(), 2, "kohya")
    first = Path("exports/rank-2-kohya.safetensors").read_bytes()
    export.run(params.load(), 2, "kohya", "again.safetensors")
    assert Path("again.safetensors").read_bytes() == first


def test_a_file_that_differs_from_its_commit_is_told(study: Path) -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# a note\n")
    export.run(params.load(), 2, "kohya", "out.safetensors")
    assert safetensors_io.metadata("out.safetensors")["laureate.commit"].endswith("-changed")


def test_what_cannot_be_exported_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LaureateError, match="there is no file models/lora/rank-4"):
        export.run(params.load(), 4, "kohya")
    assert cli.main(["export", "--rank", "3", "--to", "kohya"]) == 2
    assert "--rank 3 is not in ranks [2, 4]" in capsys.readouterr().err
    small_base.write(fresh(Path("base")), seed=1)
    with pytest.raises(LaureateError, match="trained on another base"):
        export.run(params.load(), 2, "kohya")
    assert not Path("exports").exists()
