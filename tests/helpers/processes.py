"""Run the command line in a process of its own and list the large packages that it imported."""

from __future__ import annotations

import subprocess
import sys

LARGE = {
    "scipy",
    "peft",
    "torchvision",
    "transformers",
    "torch",
    "diffusers",
    "torch._dynamo",
    "sympy",
    "boto3",
    "pandas",
}
# runs the command line as `python -m laureate` does
PROBE = f"""
import sys
from laureate.cli import program
status = program()
print(*(name for name in {sorted(LARGE)} if sys.modules.get(name)))
sys.exit(status)
"""


def imported(*words: str) -> set[str]:
    """Run a command, which must succeed => the packages of LARGE that it imported."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())
