"""Whether a study is as the last `dvc repro` left it, by the sizes and times of its files.

DVC reads `params.yaml` and `dvc.lock` many times before it can say so, which takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laureate.core.files import write_json
from laureate.core.paths import WORK

FILE = WORK / "study.json"
LOCK, PIPELINE = Path("dvc.lock"), Path("dvc.yaml")
ALWAYS = (
    PIPELINE,
    Path("params.yaml"),
    Path(".dvcignore"),
    Path(".dvc/config"),
    Path(".dvc/config.local"),
)
IGNORED = "__pycache__"  # the folder that using the code fills, in .dvcignore too

State = tuple[int, int, int, int]  # size, times of change of content and of anything, number of the inode


def is_unchanged() -> bool:
    """Whether every file that the stages read or wrote is as it was at the last `note`."""
    try:
        noted = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(noted) and noted == fingerprint(_entries(_stages()))


def note(started: int) -> bool:
    """Note the state of all files after a `dvc repro` that succeeded => whether it could be noted.

    `started`: nanoseconds since 1970 at its start. Nothing is noted where an input was changed after that, as
    nobody knows whether DVC saw it before or after, or where the size of a file is not that of dvc.lock.
    """
    stages = _stages()
    entries = _entries(stages)
    if not entries:
        return False
    outputs = [str(out["path"]) for stage in stages.values() for out in stage.get("outs", [])]
    for path, entry in entries.items():
        states = list(states_of(Path(path)).values())
        if "size" in entry and entry["size"] != sum(state[0] for state in states):
            return False
        if entry.get("nfiles", len(states)) != len(states):
            return False
        made = any(path == out or path.startswith(f"{out}/") for out in outputs)
        if not made and any(state[2] >= started for state in states):
            return False
    write_json(FILE, fingerprint(entries))
    return True


def fingerprint(entries: Mapping[str, Any]) -> str:
    """SHA-256 over the states of the files at the paths `entries` and of those that make the stages."""
    digest = hashlib.sha256()
    for path in sorted({*entries, str(LOCK), *map(str, ALWAYS)}):
        digest.update(json.dumps([path, states_of(Path(path))]).encode())
    return digest.hexdigest()


def states_of(path: Path) -> dict[str, State]:
    """The states of a file, or of all files of a folder, by path; empty where there is nothing."""
    return {name: _state(Path(name).stat()) for name in sorted(_files(path))}


def _files(path: Path) -> Iterator[str]:
    if path.is_file():
        yield str(path)
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name != IGNORED]
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118 - a Path for each is slow


def _state(of: os.stat_result) -> State:
    return of.st_size, of.st_mtime_ns, of.st_ctime_ns, of.st_ino


def _stages() -> dict[str, Any]:
    """The stages of dvc.lock that dvc.yaml has too; none where one of them cannot be read."""
    locked, written = _read(LOCK), _read(PIPELINE)
    return {name: stage for name, stage in locked.items() if name.partition("@")[0] in written}


def _read(file: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return dict(found.get("stages") or {}) if isinstance(found, dict) else {}


def _entries(stages: Mapping[str, Any]) -> dict[str, Any]:
    """What dvc.lock says of every path that a stage reads or writes."""
    return {
        str(entry["path"]): entry
        for stage in stages.values()
        for kind in ("deps", "outs")
        for entry in stage.get(kind, [])
    }
