"""The environment: what a user's plain script finds in it."""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_a_plain_script_imports_what_needs_torchvision() -> None:
    """Under a CPU build of torch too, and with nothing of ours imported."""
    script = "import torchvision, lpips, cleanfid.fid; from diffusers import StableDiffusionPipeline"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_missing_operators_are_declared_once() -> None:
    import torch

    from laureate.torch_utils.torchvision_ops import declare_missing_operators

    assert declare_missing_operators() is declare_missing_operators()
    assert hasattr(torch.ops.torchvision, "nms")


def test_command_and_parameters_import_nothing_heavy(root: Path) -> None:
    heavy = "torch, diffusers, transformers, pandas, matplotlib, scipy, scrapy, dvc"
    check = f"""import sys, laureate.cli, laureate.config.params
laureate.config.params.load()
print(set('{heavy}'.split(', ')) & set(sys.modules))"""
    printed = subprocess.run(
        [sys.executable, "-c", check], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    )
    assert printed.stdout.strip() == "set()"


def test_every_direct_dependency_is_pinned_within_its_range(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [
        Requirement(line) for line in [*project["project"]["dependencies"], *groups["test"], *groups["lint"]]
    ]
    pins = {}
    for line in (root / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    for requirement in wanted:
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement
