"""A file that a command reads is cut off or is something else: a sentence, never a traceback.

DAMAGE=all in the environment tries every file that a command reads in every way; otherwise some of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import faulty_runs
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ALL = os.environ.get("DAMAGE") == "all"
TRIED = 2  # files of a command, where not all are tried
DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "other": lambda data: b"\0\xff{[" + data[4:],
    "list": lambda data: b"[]",
    "object": lambda data: b'{"a": null}',
}
COMMANDS = {
    "prepare": ("prepare", "drawn"),
    "evaluate": ("evaluate --model rank-4", "drawn"),
    "compare": ("compare", "drawn"),
    "select": ("select", "drawn"),
    "report": ("report", "drawn"),
    "world": ("world nobel", "drawn"),
    "doctor": ("doctor mine", "drawn"),
    "score": ("score --reference data/dataset/holdout a=data/samples/baseline --judge vision", "drawn"),
    "replicate": ("replicate", "drawn"),
    "encode": ("encode", "trained"),
    "train": ("train --rank 4", "trained"),
    "choose": ("choose --rank 2", "trained"),
    "sample": ("sample --model rank-2", "trained"),
    "export": ("export --rank 2 --to kohya", "trained"),
    "card": ("card --rank 2", "trained"),
    "portrait": ("portrait me.png --steps 4", "trained"),
    "poster": ("poster me.png --name A --subject B --out poster.png", "trained"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_file(studies: dict[str, Path], tmp_path: Path, name: str) -> None:
    words, study = COMMANDS[name]
    folder = Path(shutil.copytree(studies[study], tmp_path / "study", symlinks=True))
    first = faulty_runs.run(words.split(), folder)
    assert first.status == 0, first.said
    shutil.rmtree(folder)
    files = [file for file in first.read if (studies[study] / file).is_file() and ".git/" not in file]
    pictures = [file for file in files if file.endswith(".png")]
    files = [file for file in files if file not in pictures[1:]]  # one stands for all
    assert files
    every = [(file, damage) for file in files for damage in DAMAGES]
    if not ALL:
        ways = list(DAMAGES)
        chosen = [files[i * (len(files) - 1) // max(1, TRIED - 1)] for i in range(TRIED)]
        every = [(file, ways[(i + len(name)) % len(ways)]) for i, file in enumerate(dict.fromkeys(chosen))]
    failed = []
    for file, damage in every:
        folder = Path(shutil.copytree(studies[study], tmp_path / "study", symlinks=True))
        (folder / file).write_bytes(DAMAGES[damage]((folder / file).read_bytes()))
        outcome = faulty_runs.run(words.split(), folder)
        bad = [word for word in ("Traceback", "unexpected error") if word in outcome.said]
        told = (
            "laureate: " in outcome.said or "eplicated: " in outcome.said
        )  # replicate's status is an answer
        if bad or outcome.status not in (0, 1, 2) or (outcome.status and not told):
            failed.append((file, damage, outcome.status, outcome.said[-300:]))
        shutil.rmtree(folder)
    assert not failed, "\n".join(map(str, failed))
