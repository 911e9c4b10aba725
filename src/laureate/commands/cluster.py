"""`laureate cluster`: run the stages that are out of date on many machines, by Ray and the DVC remote.

DVC says what is out of date, a Ray task runs each of these stages in a clean clone, and results come back
through the DVC remote: their lock entries say which. Ray only decides where. The last step is
`dvc repro --pull` here, which finds nothing to run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laureate.cluster.node import Study, execute
from laureate.cluster.schedule import schedule
from laureate.cluster.study import (
    bundle_of,
    check_commit,
    entries_of,
    opened,
    own_files,
    remote_of,
    stages_of,
    take_results,
)
from laureate.cluster.tasks import HEAVY, Resources, Task, impossible, tasks_of
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json

LOCK = Path(".dvc/tmp/laureate-cluster.lock")
TIMES = Path(".dvc/tmp/laureate-cluster.json")  # seconds of every stage when it last ran on a cluster
NAMESPACE = "laureate"
WAIT = 10.0  # seconds until the cluster has noticed that a driver is gone
LARGE = 2**30  # bytes of a base whose memory is counted, which takes seconds
RETRIES = 5  # of a task whose worker or node was lost


def run(params: Params, address: str = "", plan: bool = False, setup: str = "", cpus: int = 0) -> None:
    """Run what is out of date on the Ray cluster at `address`, or on this host; with `plan`, only say so.

    `setup`: a shell command for every clone. `cpus`: cores of a task that uses a model; 0: the threads
    that it will use, or one where the cluster has GPUs. Raises LaureateError for a second driver, for files
    that are not committed, for a remote without a run-cache, a task that no node can run, and failed stages.
    """
    with _only_driver(), opened() as repo:
        remote, commit = remote_of(repo), check_commit(repo)
        stages = stages_of(repo)
        if not any(stage.stale for stage in stages):
            print("Every stage is up to date.")
            return
        with _connected(address) as ray:
            nodes = [_resources(node["Resources"]) for node in ray.nodes() if node["Alive"]]
            tasks = tasks_of(stages, params.train.pack, _claims(params, nodes, cpus))
            if task := impossible(tasks, nodes):
                raise LaureateError(
                    f"no node of the cluster can run {task.name}: it claims "
                    f"{_words(task.resources)}, and the nodes have {'; '.join(map(_words, nodes))}"
                )
            if plan:
                print(_plan(tasks, nodes))
                return
            with _only_driver_of(ray, remote.url):
                stale = {stage.name for stage in stages if stage.stale}
                known = entries_of(repo, sorted({name for task in tasks for name in task.inputs} - stale))
                with tempfile.TemporaryDirectory() as folder:
                    bundle = bundle_of(commit, Path(folder))
                study = Study(
                    bundle,
                    commit,
                    own_files(),
                    {"name": remote.name, "options": remote.options},
                    {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE")},
                    setup,
                )
                made = _work_off(ray, tasks, study, known)
        take_results(repo, {stage.name: made[stage.name] for stage in stages if stage.name in made})
    ran = finish()
    if ran:
        print(f"Note: DVC ran {', '.join(ran)} here: its inputs are not as the workers had them.")


def finish() -> list[str]:
    """`dvc repro --pull` in the working folder => the stages that it ran; after a cluster's run that is none.

    Raises LaureateError with what DVC printed last if it fails.
    """
    words = [sys.executable, "-m", "dvc", "repro", "--pull"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = "\n  ".join(done.stdout.strip().splitlines()[-10:])
        raise LaureateError(f"dvc repro --pull failed:\n  {last}")
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def _work_off(ray: Any, tasks: Sequence[Task], study: Study, known: Mapping[str, Any]) -> dict[str, Any]:
    """Submit all tasks, print a line for each that is done, keep their times => lock entry of every stage.

    What does not depend on a failed task is still done. Raises LaureateError naming what failed.
    """
    remote = ray.remote(max_retries=RETRIES)(execute)
    given = ray.put(study)
    running: dict[Any, Task] = {}
    results: dict[str, Any] = {}
    for task in tasks:
        claim = task.resources
        options = {"num_cpus": claim.cpus, "num_gpus": claim.gpus, "name": task.name}
        options |= {"memory": claim.memory} if claim.memory else {}
        entries = {name: known[name] for name in task.inputs if name in known}
        before = (results[need] for need in task.needs)
        results[task.name] = remote.options(**options).remote(given, task, entries, *before)
        running[results[task.name]] = task
    failed: dict[str, str] = {}
    entries_made: dict[str, Any] = {}
    seconds = _times()
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        task = running.pop(ready)
        if failed.keys() & set(task.needs):
            failed[task.name] = ""
            continue
        try:
            made = ray.get(ready)
        except ray.exceptions.RayError as error:
            failed[task.name] = str(getattr(error, "cause", None) or error).strip()
            print(f"{task.name}: failed", flush=True)
            continue
        for name, facts in made.items():
            how = f"ran on {facts['host']}" if facts["ran"] else "taken from the remote"
            print(f"{name}: {how}, {facts['seconds']:.1f} s", flush=True)
            seconds |= {name: round(facts["seconds"], 3)} if facts["ran"] else {}
            entries_made[name] = facts["entry"]
        write_json(TIMES, seconds)
    if failed:
        names = [task.name for task in tasks if task.name in failed]  # not as they happened to fail
        first = "\n".join(failed[name] for name in names if failed[name])
        raise LaureateError(
            f"{len(failed)} of {len(tasks)} tasks have no result ({', '.join(names)}): {first}"
        )
    return entries_made


@contextmanager
def _only_driver() -> Iterator[None]:
    """One driver in a working folder, as long as its process lives. Raises LaureateError for a second."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LaureateError(
                f"another `laureate cluster` runs in this folder ({LOCK} is locked)"
            ) from None
        yield


@contextmanager
def _only_driver_of(ray: Any, url: str) -> Iterator[None]:
    """One driver of a cluster for one remote: an actor with its name, which ends with the driver."""

    class Driver:
        """Holds a name."""

        def ready(self) -> bool:
            """Answer."""
            return True

    name, end = f"driver-{hashlib.sha256(url.encode()).hexdigest()[:16]}", time.monotonic() + WAIT
    while True:
        try:
            holder = ray.remote(num_cpus=0)(Driver).options(name=name).remote()
            ray.get(holder.ready.remote())
            break
        except (ValueError, ray.exceptions.RayActorError):
            if time.monotonic() > end:
                raise LaureateError(
                    f"another `laureate cluster` uses the remote {url} on this cluster; wait until it is done"
                ) from None
            time.sleep(0.5)
    try:
        yield
    finally:
        ray.kill(holder)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster or started on this host for as long as the block runs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise LaureateError("laureate cluster needs Ray: pip install 'laureate[cluster]'") from None
    here = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    options: dict[str, Any] = {"address": address} if address else here
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(**options, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise LaureateError(f"no Ray cluster answers at {address or 'this host'}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _claims(params: Params, nodes: Sequence[Resources], cpus: int) -> dict[str, Resources]:
    """What the tasks of each verb claim, and of a pack of ranks that train together."""
    gpus = int(any(node.gpus for node in nodes))
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or min(
        (node.cpus for node in nodes if node.cpus), default=1
    )
    heavy = Resources(cpus or (1 if gpus else threads), gpus)
    claims = dict.fromkeys(HEAVY, heavy)
    for name, memory in _memory(params, bool(gpus)).items():
        claims[name] = Resources(heavy.cpus, gpus, memory)
    return claims


def _memory(params: Params, gpus: bool) -> dict[str, int]:
    """Bytes of main memory that training takes, as `laureate plan` counts it; nothing for a small base.

    On a GPU the model is in the GPU's memory: a task has the whole GPU, and main memory is not claimed.
    """
    files = Path(params.base.path).rglob("*.safetensors")
    if gpus or sum(file.stat().st_size for file in files) < LARGE:
        return {}
    from laureate.commands import plan, plan_machine
    from laureate.commands.plan_cache import FILE, PlanCache

    cache = PlanCache(FILE)
    machine = plan_machine.of_process(params.train.precision, cache)
    alone, pack = plan.updates(params, plan.shape_of(params), machine.dtype, machine.attention, cache)
    cache.save()
    where, process = machine.kind, machine.process
    one = max(cost.memory(where, process) for cost in alone.values())
    return {"train": one, "pack": pack.memory(where, process)}


def _resources(node: Mapping[str, float]) -> Resources:
    """What a Ray node offers."""
    return Resources(int(node.get("CPU", 0)), int(node.get("GPU", 0)), int(node.get("memory", 0)))


def _times() -> dict[str, float]:
    """Seconds of stages that ran before, by name."""
    try:
        return dict(json.loads(TIMES.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _plan(tasks: Sequence[Task], nodes: Sequence[Resources]) -> str:
    """A table of tasks: what each claims, and where and when it would run by the times of the last run."""
    known = _times()
    seconds = {task.name: sum(known.get(name, 0.0) for name in task.stages) for task in tasks}
    missing = [name for task in tasks for name in task.stages if name not in known]
    lines = [f"{'task':<24} {'claims':<28} {'node':>4} {'start s':>8} {'end s':>8}  after"]
    placed = {place.task: place for place in schedule(tasks, nodes, seconds)}
    for task in tasks:
        place = placed[task.name]
        more = f" +{len(task.stages) - 1}" if len(task.stages) > 1 else ""
        after = ", ".join(task.needs) or "nothing"
        lines.append(
            f"{task.name + more:<24} {_words(task.resources):<28} {place.node:>4} {place.start:>8.1f} "
            f"{place.end:>8.1f}  {after}"
        )
    lines.append("")
    for index, node in enumerate(nodes):
        lines.append(f"node {index}: {_words(node)}")
    if missing:
        lines.append(f"No time is known of {len(missing)} stages, such as {missing[0]}: they count as 0 s.")
    lines.append(f"In all: about {max(place.end for place in placed.values()):.0f} s")
    return "\n".join(lines)


def _words(resources: Resources) -> str:
    """Resources as text."""
    parts = [f"{resources.cpus} CPU"]
    parts += [f"{resources.gpus} GPU"] if resources.gpus else []
    parts += [f"{resources.memory / 2**30:.1f} GiB"] if resources.memory else []
    return ", ".join(parts)
