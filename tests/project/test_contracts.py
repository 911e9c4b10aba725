"""The floors of the house: import-linter's contracts hold, and an import that runs up breaks them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml on the packages of a folder."""
    code = os.environ | {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, env=code, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        (None, "", ""),
        ("src/laureate/core/paths.py", "from laureate.stages import train", "floors"),
        ("src/laureate/networks/lora/layers.py", "from laureate.training import trainer", "floors"),
        ("src/laureate/evaluation/evidence.py", "from laureate.networks.lora import adapter", "floors"),
        ("src/laureate/stages/sample.py", "from laureate.embedded import prompt_writer", "the product"),
        ("src/laureate/stages/report.py", "from laureate.simulator.museum import server", "the museum"),
    ],
)
def test_an_import_that_runs_up_breaks_a_contract(
    root: Path, tmp_path: Path, file: str | None, line: str, contract: str
) -> None:
    for name in ("src", "crawler"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    if file:
        path = tmp_path / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint(tmp_path)
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert (done.returncode != 0) == bool(file), done.stdout
    assert bool(broken) == bool(file)
    assert not file or any(text.startswith(contract) for text in broken), broken


def test_four_modules_at_most_lie_beside_the_folders(root: Path) -> None:
    assert len(list((root / "src/laureate").glob("*.py"))) <= 4
