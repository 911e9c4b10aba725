"""One experiment per rank of a finished study, so that `dvc exp show` has a row of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes
from laureate.core.paths import COMPARISON, SELECTED
from laureate.core.progress import progress

SHOW = "dvc exp show --only-changed --drop '.*/'"


def run(params: Params, file: str) -> None:
    """Run `dvc exp run --name rank-N -S selected=rank-N --single-item select` for every rank of `params`.

    An experiment of that name on this commit is replaced. The stage runs in the working tree, where the
    study's results are; parameters, lock file and selected row are as before in the end. Raises LaureateError
    where the table is missing and where DVC fails.
    """
    if not COMPARISON.is_file():
        raise LaureateError(f"{COMPARISON} does not exist; run `make study` first")
    from dvc.cli import main as dvc  # late: it takes a second

    with unchanged(Path(file), Path("dvc.lock"), SELECTED):
        for model in progress(params.adapters, len(params.adapters), "ranks"):
            command = ["exp", "run", "--quiet", "--force", "--single-item", "select"]
            if dvc([*command, "--name", model, "--set-param", f"{file}:selected={model}"]) != 0:
                raise LaureateError(
                    f"dvc exp run --name {model} failed; its reason stands above. "
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
