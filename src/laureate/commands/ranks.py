"""One experiment per rank of a finished study, so that `dvc exp show` has a row of each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from laureate.commands import world
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes, write_text
from laureate.core.paths import COMPARISON, SELECTED
from laureate.core.progress import progress
from laureate.core.text_files import read_text

SHOW = "dvc exp show --only-changed --drop '.*/'"


def run(params: Params, file: str) -> None:
    """Save an experiment rank-N for every rank of `params`, as `dvc exp run -S selected=rank-N select` would.

    An experiment of that name on this commit is replaced. The stage's command runs, and `dvc exp save` keeps
    the working tree, where the study's results are: `dvc exp run` would check out every output that the row
    was made of, ten seconds a rank. Parameters, lock file and selected row are as before in the end. Raises
    LaureateError where the table is missing and where DVC fails.
    """
    if not COMPARISON.is_file():
        raise LaureateError(f"{COMPARISON} does not exist; run `make study` first")
    from dvc.cli import main as dvc  # late: it takes a second

    place = Path(file)
    before = read_text(place)
    with unchanged(place, Path("dvc.lock"), SELECTED):
        for model in progress(params.adapters, len(params.adapters), "ranks"):
            write_text(place, world.switched(before, f"selected: {model}")[0])
            words = [sys.executable, "-m", "laureate", "--params", file, "select"]
            if subprocess.run(words).returncode != 0:
                raise LaureateError(f"laureate select failed for {model}; its reason stands above")
            if dvc(["exp", "save", "--quiet", "--force", "--name", model, "select"]) != 0:
                raise LaureateError(
                    f"dvc exp save --name {model} failed; its reason stands above. "
                    "DVC needs a git repository with a commit"
                )
    print(f"An experiment of every rank: `{SHOW}`", file=sys.stderr)


@contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    """Give these files the bytes again that they had, however the block ends.

    Raises LaureateError that names those for which this fails, after it was tried for all of them.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in paths}
    try:
        yield
    finally:
        failed = {}
        for path, content in before.items():
            try:
                if content is None:
                    path.unlink(missing_ok=True)
                elif not path.is_file() or path.read_bytes() != content:
                    write_bytes(path, content)
            except OSError as error:
                failed[str(path)] = error.strerror or str(error)
        if failed:
            first = next(iter(failed))
            raise LaureateError(
                f"{', '.join(failed)} could not be restored ({failed[first]}); once that is mended, restore "
                "them with git"
            )
