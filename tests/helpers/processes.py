"""Run the command line in a process of its own and list the large packages that it imported."""

from __future__ import annotations

import subprocess
import sys

COMPILER = "torch._dynamo.symbolic_convert"  # the heart of torch's compiler
LARGE = {
    "scipy",
    "peft",
    "torchvision",
    "transformers",
    "torch",
    "diffusers",
    COMPILER,
    "sympy",
    "boto3",
    "pandas",
}
# runs the command line as `python -m laureate` does; a package that waits with its __init__ is imported where
# one of its submodules is
PROBE = f"""
import sys
from laureate.cli import program
from laureate.core.lazy_packages import is_waiting
status = program()
def used(name):
    module = sys.modules.get(name)
    return module and not (is_waiting(module) and not any(n.startswith(name + ".") for n in sys.modules))
print(*filter(used, {sorted(LARGE)}))
sys.exit(status)
"""


def imported(*words: str) -> set[str]:
    """Run a command, which must succeed => the packages of LARGE that it imported."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())
