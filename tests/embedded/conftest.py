"""A small study of the embedded world, for the oracle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from laureate.config import params
from laureate.core import paths
from laureate.core.files import write_text
from laureate.embedded import prompt_writer
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files, injection
from laureate.networks.lora.adapter import Adapter
from laureate.stages import train


@pytest.fixture(scope="session")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """A small study of the embedded world with two adapters and random judges. The adapters are as training
    writes them, but with weights that change the pictures a lot."""
    folder = tmp_path_factory.mktemp("oracle")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(params.load(), 4)
    write_text(folder / "data/prompts.yaml", prompt_writer.as_yaml(prompt_writer.study(2)))
    found = base_model.find(folder / "base")
    for rank in (2, 4):
        adapter = Adapter(rank, float(rank))
        layers = injection.attach(found.unet(), [adapter], ["to_q", "to_k", "to_v", "to_out.0"], seed=0)
        with torch.no_grad():
            for layer in layers.values():
                layer.own("b", 0).normal_(generator=torch.Generator().manual_seed(rank))
        target = folder / paths.ADAPTERS / f"rank-{rank}"
        adapter_files.save(target, adapter_files.export(layers, 0), adapter, list(layers))
    file = folder / "params.yaml"
    values = yaml.safe_load(file.read_text())
    judges = {
        kind: {"kind": kind, "source": str(tiny_models / kind), "sha256": None} for kind in ("vision", "clip")
    }
    values["evaluate"] = {"judges": judges}
    values["compare"] = {"judges": ["vision", "clip"]}
    file.write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(made)
    return params.load()
