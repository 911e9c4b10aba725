"""torchvision under a CPU build of torch, as a user's plain script finds it."""

import os
import subprocess
import sys


def test_a_plain_script_imports_what_needs_torchvision() -> None:
    """Under a CPU build of torch too, and with nothing of ours imported."""
    script = "import torchvision, lpips, cleanfid.fid; from diffusers import StableDiffusionPipeline"
    subprocess.run([sys.executable, "-c", script], check=True)


DECLARED = """
import gc, torch
from laureate.torch_utils.torchvision_ops import _torchvision_operators_load, declare_missing_operators
def declared():
    gc.collect()
    return hasattr(torch.ops.torchvision, "nms")
states = [declared()]
for _ in range(2):  # the second call would fail if it declared them again
    declare_missing_operators()
    states.append(declared())
print(states, _torchvision_operators_load(torch) or bool(torch.version.cuda or torch.version.hip))
"""


def test_missing_operators_are_declared_once_and_stay() -> None:
    """In a process where torch has not called the function by itself."""
    environment = os.environ | {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    done = subprocess.run(
        [sys.executable, "-c", DECLARED], env=environment, capture_output=True, text=True, check=True
    )
    states, nothing_missing = done.stdout.strip().rsplit(maxsplit=1)
    if nothing_missing == "True":  # torchvision's own operators load, here or when it is imported
        assert states in ("[False, False, False]", "[True, True, True]")
    else:
        assert states == "[False, True, True]"
