"""Run commands in a folder, with the code of the repository that the folder holds."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, fails: bool = False) -> str:
    """Run a command in a folder and give what it printed; its status must be 0, or not 0 if it `fails`.

    In a copy of the repository it runs that copy's code, not what is installed.
    """
    words = [str(word) for word in command]
    code = {"PYTHONPATH": f"{cwd / 'src'}{os.pathsep}{cwd}"} if (cwd / "src/laureate").is_dir() else {}
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}")
    return done.stdout
