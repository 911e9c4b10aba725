"""torchvision under a CPU build of torch, as a user's plain script finds it."""

import subprocess
import sys


def test_a_plain_script_imports_what_needs_torchvision() -> None:
    """Under a CPU build of torch too, and with nothing of ours imported."""
    script = "import torchvision, lpips, cleanfid.fid; from diffusers import StableDiffusionPipeline"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_missing_operators_are_declared_once() -> None:
    import torch

    from laureate.torch_utils.torchvision_ops import declare_missing_operators

    assert declare_missing_operators() is declare_missing_operators()
    assert hasattr(torch.ops.torchvision, "nms")
