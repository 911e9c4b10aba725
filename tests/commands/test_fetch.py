"""`laureate fetch`: the first source that has the base gives it unchanged, or one error says why not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_hub
import original_layout
import pytest
import yaml
from base_sources import HUB, MIRROR, NAME, UNET, of, refused
from fake_hub import COMMIT, Hub

from laureate.commands import fetch
from laureate.core.errors import LaureateError
from laureate.networks.diffusion import base_model
from laureate.networks.sources import checkpoint_conversion


def test_a_repository_of_the_hub(hub: Hub, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.run(of(HUB))
    found = base_model.expected(of(HUB).base)
    assert found.fingerprint == base_model.find(made).fingerprint
    assert found.source == f"hub {NAME} at {COMMIT}"
    lock = json.loads(Path("base.lock.json").read_text())[f"hub {NAME}"]
    assert lock["files"] == found.files
    assert lock["revision"] == COMMIT
    assert not Path("downloads").exists() or not any(Path("downloads").iterdir())
    assert sorted(path.name for path in Path("base").iterdir()) == sorted(
        ["model_index.json", "scheduler", "source.json", "text_encoder", "tokenizer", "unet", "vae"]
    )
    asked = [path for _, path, _ in hub.asked]
    assert not any("README" in path or ".ckpt" in path for path in asked)
    hub.asked.clear()
    fetch.run(of(HUB))  # it exists: no source is asked
    assert not hub.asked
    assert "base exists: hub" in capsys.readouterr().out


def test_the_lock_pins_the_commit_of_a_branch(hub: Hub) -> None:
    fetch.run(of(HUB))
    shutil.rmtree("base")
    hub.asked.clear()
    fetch.run(of(HUB))
    assert hub.asked[0][1].endswith(f"/revision/{COMMIT}")


def test_a_mirror(hub: Hub, made: Path) -> None:
    hub.repositories[MIRROR["modelscope"]] = hub.repositories.pop(NAME)
    fetch.run(of(HUB, MIRROR))  # the hub has it no more
    assert base_model.find("base").fingerprint == base_model.find(made).fingerprint
    assert base_model.find("base").source == f"modelscope {MIRROR['modelscope']} at master"


def test_half_precision_is_stored_under_the_plain_names(hub: Hub, made: Path) -> None:
    folder = hub.repositories[NAME]
    for part, name in base_model.WEIGHTS.items():
        stem = name.removesuffix("safetensors")
        shutil.move(folder / part / name, folder / part / f"{stem}fp16.safetensors")
    fetch.run(of({**HUB, "variant": "fp16"}))
    assert base_model.find("base").fingerprint == base_model.find(made).fingerprint
    assert base_model.find("base").source == f"hub {NAME} (fp16) at {COMMIT}"


@pytest.mark.parametrize("family", [1, 2])
def test_a_folder_and_a_checkpoint(hub: Hub, made: Path, tmp_path: Path, family: int) -> None:
    fetch.run(of({"folder": str(tmp_path / "nowhere")}, {"folder": str(made)}))
    assert base_model.find("base").fingerprint == base_model.find(made).fingerprint
    assert base_model.find("base").source == f"folder {made}"
    shutil.rmtree("base")
    file = original_layout.write(made, tmp_path / "one.safetensors", family)
    given = {"file": str(file), "layout": str(made), "tokenizer": str(made / "tokenizer")}
    fetch.run(of(given))
    found, wanted = base_model.find("base"), base_model.find(made)
    assert found.source == f"file {file}"
    for part in base_model.WEIGHTS:
        ours, theirs = (getattr(each, part)().state_dict() for each in (found, wanted))
        assert ours.keys() == theirs.keys()
        assert all(ours[name].equal(theirs[name]) for name in ours)


def test_a_checkpoint_of_the_true_structure(tmp_path: Path, made: Path) -> None:
    """Every block of Stable Diffusion 2.1, made narrow: the shipped layout fits what the libraries write."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    narrow: dict[str, dict[str, Any]] = {
        "unet": {"block_out_channels": [32, 64, 64, 64], "attention_head_dim": [1, 2, 2, 2]},
        "vae": {"block_out_channels": [32, 32, 64, 64]},
        "text_encoder": {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2},
    }
    narrow["unet"]["cross_attention_dim"] = narrow["text_encoder"]["hidden_size"]
    layout = Path(shutil.copytree(checkpoint_conversion.LAYOUTS / "sd2-768", tmp_path / "layout"))
    written = Path(shutil.copytree(layout, tmp_path / "written"))
    shutil.copytree(made / "tokenizer", written / "tokenizer", dirs_exist_ok=True)
    for part, values in narrow.items():
        path = layout / part / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
        config = json.loads(path.read_text())
        with torch.random.fork_rng():
            torch.manual_seed(1)
            if part == "text_encoder":
                model: Any = CLIPTextModel(CLIPTextConfig(**config))
            else:
                kind: Any = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[part]
                model = kind.from_config(config)
        model.save_pretrained(written / part)
    file = original_layout.write(written, tmp_path / "one.safetensors")
    (tmp_path / "out").mkdir()
    checkpoint_conversion.convert(file, str(layout), made / "tokenizer", tmp_path / "out")
    ours, theirs = base_model.find(tmp_path / "out"), base_model.find(written)
    assert ours.prediction == "v_prediction"
    for part in base_model.WEIGHTS:
        a, b = (getattr(each, part)().state_dict() for each in (ours, theirs))
        assert a.keys() == b.keys()
        assert all(a[name].equal(b[name]) for name in a)


def test_an_unknown_repository_and_one_that_may_not_be_read(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"hub": "stabilityai/stable-diffusion-2-1", "revision": "main"}
    assert "answers 404 for stabilityai/stable-diffusion-2-1: it was deleted" in refused(of(gone))
    hub.private.add(NAME)
    said = refused(of(gone, HUB))
    assert f"answers 401 for {NAME}" in said
    assert "set HF_TOKEN if it is yours" in said
    assert said.startswith("no source of base.sources has base; hub stabilityai")
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    fetch.run(of(gone, HUB))
    assert base_model.find("base").source.startswith(f"hub {NAME}")


def test_other_refusals(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{NAME} has no revision v9" in refused(of({**HUB, "revision": "v9"}))
    assert "answers 404 for " in refused(of({**MIRROR, "modelscope": "no/body"}))
    hub.gated.add(NAME)
    assert "only to those who accept its licence: accept it there and set HF_TOKEN" in refused(of(HUB))
    hub.broken.add(NAME)
    assert "answers 500" in refused(of(HUB))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(of(HUB))


def test_off_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", address)
        said = refused(of(HUB, MIRROR))
    assert said.count(f"{address} cannot be reached") == 2
    assert "go online or add a folder to base.sources" in said


def test_a_changed_file_is_refused(hub: Hub) -> None:
    fetch.run(of(HUB))
    before = json.loads(Path("base.lock.json").read_text())
    shutil.rmtree("base")
    weights = hub.repositories[NAME] / UNET
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    said = refused(of(HUB, MIRROR))  # and no other source is tried
    assert f"{UNET} of hub {NAME} was changed on the server" in said
    assert json.loads(Path("base.lock.json").read_text()) == before


def test_a_small_file_changed(hub: Hub) -> None:
    fetch.run(of(HUB))
    shutil.rmtree("base")
    config = hub.repositories[NAME] / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"steps_offset": 1', '"steps_offset": 0'))
    assert "scheduler/scheduler_config.json of hub" in refused(of(HUB))


def test_other_bytes_than_promised_are_thrown_away(hub: Hub) -> None:
    hub.lies.add(UNET)
    assert f"{UNET} of hub {NAME} has" in refused(of(HUB))
    assert not list(Path("downloads").rglob("unet/*.safetensors*"))
    shutil.rmtree("downloads")
    hub.lies = {"scheduler/scheduler_config.json"}
    assert "scheduler_config.json of hub" in refused(of(HUB))
    hub.lies.clear()
    fetch.run(of(HUB))


@pytest.mark.parametrize("deaf", [False, True])
def test_a_cut_connection_is_taken_up_again(hub: Hub, deaf: bool) -> None:
    hub.cut, hub.cuts, hub.deaf = {UNET: 10_000}, 1, deaf
    fetch.run(of(HUB))
    ranges = [wanted for _, path, wanted in hub.asked if path.endswith(UNET)]
    assert ranges == [None, "bytes=10000-"]
    assert base_model.find("base").files[UNET] == fake_hub.sha(hub.repositories[NAME] / UNET)


def test_a_run_that_gave_up_is_taken_up_by_the_next(hub: Hub) -> None:
    hub.cut, hub.cuts = {UNET: 10_000}, 3
    said = refused(of(HUB))
    assert "the connection broke" in said
    assert "after 30000 bytes" in said
    hub.asked.clear()
    fetch.run(of(HUB))
    asked = {path.split(COMMIT)[-1]: wanted for _, path, wanted in hub.asked if "resolve" in path}
    assert asked["/" + UNET] == "bytes=30000-"
    assert "/vae/config.json" not in asked  # whole already
    assert base_model.find("base").files[UNET] == fake_hub.sha(hub.repositories[NAME] / UNET)


def test_a_wrong_base_stops_before_its_weights(hub: Hub) -> None:
    assert "predicts v_prediction, but base.prediction is epsilon" in refused(of(HUB, prediction="epsilon"))
    folder = hub.repositories[NAME]
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "StableDiffusionXLPipeline"})
    )
    assert "SDXL has two text encoders and is not supported" in refused(of(HUB))
    assert not any(path.endswith(".safetensors") for _, path, _ in hub.asked)


def test_half_a_repository(hub: Hub) -> None:
    folder = hub.repositories[NAME]
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    said = refused(of(HUB))
    assert f"has no {UNET}: it has pickled weights (unet/diffusion_pytorch_model.bin)" in said
    shutil.rmtree(folder / "vae")
    (folder / "unet" / "diffusion_pytorch_model.bin").rename(folder / UNET)
    assert "has no vae/config.json: it is incomplete" in refused(of(HUB))


def test_a_base_that_changed_on_the_disk_is_refused_by_every_stage(hub: Hub) -> None:
    given = of(HUB)
    fetch.run(given)
    assert base_model.expected(given.base)
    with pytest.raises(
        LaureateError, match=f"came from hub {NAME} at {COMMIT}, which base.sources does not name"
    ):
        base_model.expected(of(MIRROR).base)
    with pytest.raises(LaureateError, match=r"predicts v_prediction, but base\.prediction is epsilon"):
        base_model.expected(of(HUB, prediction="epsilon").base)
    path = Path("base/scheduler/scheduler_config.json")
    path.write_text(path.read_text() + "\n")
    with pytest.raises(
        LaureateError, match=r"scheduler_config\.json differs: its SHA-256 is not that in base"
    ):
        base_model.expected(given.base)


CHECKPOINTS = [
    ({checkpoint_conversion.SDXL: (4, 4)}, "is SDXL, which has two text encoders and is not supported"),
    (
        {next(iter(checkpoint_conversion.TEXT)): (4, 4), checkpoint_conversion.CROSS: (320, 768)},
        r"is Stable Diffusion 2 \(its text embeddings are 768 wide\), but its layout is sd2-768",
    ),
    ({"lora_unet_down.weight": (4, 4)}, "is not a complete Stable Diffusion checkpoint"),
    (
        {next(iter(checkpoint_conversion.TEXT)): (4, 4), checkpoint_conversion.CROSS: (320, 1024)},
        "it lacks the VAE",
    ),
]


@pytest.mark.parametrize(("shapes", "sentence"), CHECKPOINTS)
def test_a_checkpoint_that_does_not_fit(
    made: Path, tmp_path: Path, shapes: dict[str, tuple[int, int]], sentence: str
) -> None:
    import torch

    from laureate.torch_utils import safetensors_io

    file = tmp_path / "one.safetensors"
    safetensors_io.save(
        file, {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}, {}
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(LaureateError, match=sentence):
        checkpoint_conversion.convert(file, "sd2-768", made / "tokenizer", tmp_path / "out")
    with pytest.raises(LaureateError, match="there is no layout 'sd3': choose one of sd1, sd2-512, sd2-768"):
        checkpoint_conversion.convert(file, "sd3", made / "tokenizer", tmp_path / "out")


def test_the_command(hub: Hub, made: Path) -> None:
    """`laureate fetch` in a process of its own: what is printed, and the exit status."""
    Path("prompts.yaml").write_text("[]")
    values = {"sample": {"prompts": ["prompts.yaml"]}, "base": of(HUB).base.model_dump(exclude_none=True)}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "laureate", "fetch"]
    around = os.environ | {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address}
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"base made from hub {NAME} at {COMMIT}: v_prediction" in done.stdout
    shutil.rmtree("base")
    hub.private.add(NAME)
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "answers 401" in done.stderr
    assert "Traceback" not in done.stderr
