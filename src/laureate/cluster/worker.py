"""Run the stages of one task in a clean clone; `python -m laureate.cluster.worker REQUEST RESULT`.

Inputs are pulled from the DVC remote by the hashes of their lock entries. A stage whose run the remote's
run-cache has is taken from there. What a stage made is pushed, its objects first and its run-cache entry
last, so that an entry says that everything is there.

DVC leaves a stage with an output of `cache: false` out of the run-cache unless that output is a metric or a
plot, although its run-cache can hold such a stage. So the entry is saved here for every stage.

The process ends, with all that it started, when its standard input closes: that is when the process that
started it is gone, however that ended.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import write_json

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage

Entry = dict[str, Any]  # one stage of dvc.lock: cmd, deps, params, outs
ENTRY = re.compile("[0-9a-f]{64}")  # the name of a file of the run-cache


class _Runs(logging.Handler):
    """Counts the stages whose command was started, as DVC says it."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message of DVC."""
        self.count += str(record.msg).startswith("Running stage")


def main(request: str, result: str) -> int:
    """Run a request in the working folder and write what came of it => exit status."""
    from dvc.exceptions import DvcException

    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    try:
        write_json(result, run(asked["remote"], asked["inputs"], asked["stages"]))
    except (DvcException, LaureateError, OSError) as error:
        causes = [str(error)]
        while error.__cause__:
            error = error.__cause__
            causes.append(str(error))
        print("; ".join(filter(None, causes)), file=sys.stderr)
        return 1
    return 0


def run(remote: dict[str, Any], inputs: dict[str, Entry], stages: list[str]) -> dict[str, Any]:
    """Bring the inputs, then run or take each stage and push it => lock entry, seconds, whether it ran.

    `remote`: name and configuration of the DVC remote. Raises LaureateError for objects that the remote does
    not have or does not take, DvcException where DVC does.
    """
    from dvc.config import Config
    from dvc.repo import Repo, lock_repo

    name = str(remote["name"])
    local = {"core": {"remote": name}, "remote": {name: remote["options"]}}
    with Config(str(Path(".dvc").resolve())).edit("local") as configuration:
        configuration.update(local)
    Path("dvc.lock").unlink(missing_ok=True)  # that of the commit says nothing of what runs here
    runs = _Runs()
    logging.getLogger("dvc.stage.run").addHandler(runs)
    made: dict[str, Any] = {}
    with Repo(".") as repo, lock_repo(repo):
        for address, entry in inputs.items():
            put_in_place(repo, address, entry)
        for address in stages:
            (stage,) = repo.stage.collect(address)
            before, start = runs.count, time.perf_counter()
            fetch_run(repo, address)
            if stage.reproduce(pull=True):
                stage.dump(update_pipeline=False)
            ran = runs.count > before
            entry = push(repo, stage)
            made[address] = {"entry": entry, "ran": ran, "seconds": time.perf_counter() - start}
    return made


def put_in_place(repo: Repo, address: str, entry: Entry) -> None:
    """Pull and check out the outputs of a stage by its lock entry, those that git tracks too.

    They are listed in .gitignore as when the stage runs: who reads the folder reads that file as well.
    """
    stage = repo.stage_cache._create_stage(entry)
    for objects in stage.get_used_objs().values():
        if failed := repo.cloud.pull(objects).failed:
            raise LaureateError(f"{len(failed)} objects of {address} could not be pulled from the DVC remote")
    stage.checkout(force=True)
    (own,) = repo.stage.collect(address)
    own.ignore_outs()


def fetch_run(repo: Repo, address: str) -> bool:
    """Copy the run-cache entries of this stage with these inputs from the remote => whether it has any."""
    from dvc.stage.cache import _can_hash, _get_stage_hash

    stage = repo.stage.load_one(
        "dvc.yaml", address
    )  # not the one that runs: hashes saved in that say it is done
    stage.save_deps()
    if not _can_hash(stage):
        return False
    key = _get_stage_hash(stage)
    remote = repo.cloud.get_remote_odb(None, "fetch --run-cache", hash_name="md5-dos2unix")
    folder = remote.fs.join(remote.path, "runs", key[:2], key)
    if not remote.fs.exists(folder):
        return False
    place = Path(repo.stage_cache.cache_dir) / key[:2] / key
    place.mkdir(parents=True, exist_ok=True)
    found = False
    for file in remote.fs.find(folder):
        name = remote.fs.name(file)
        if ENTRY.fullmatch(
            name
        ):  # not what a push that was killed has left: DVC would take it for the newest
            remote.fs.get_file(file, str(place / name))
            found = True
    return found


def push(repo: Repo, stage: Stage) -> Entry:
    """Push the outputs of a stage that is up to date, then its run-cache entry => its lock entry."""
    from dvc.stage.serialize import to_single_stage_lockfile

    repo.stage_cache.save(stage)
    entry: Entry = json.loads(json.dumps(to_single_stage_lockfile(stage)))
    for objects in repo.stage_cache._create_stage(entry).get_used_objs().values():
        if failed := repo.cloud.push(objects).failed:
            raise LaureateError(
                f"{len(failed)} objects of {stage.addressing} could not be pushed to the DVC remote"
            )
    repo.stage_cache.push(None)
    return entry


def die_with_parent() -> None:
    """Kill this process group when standard input closes; commands started from now on read /dev/null."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        while os.read(pipe, 4096):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    die_with_parent()
    sys.exit(main(*sys.argv[1:]))
