"""Read from a DVC repository what is to be run: stages, their state, the remote, the commit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.cluster.tasks import Stage, out_of_date
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from dvc.repo import Repo

FILE = "dvc.yaml"  # stages of other files, which made what is in git, are not looked at
FREE = ("params.yaml", "dvc.lock")  # files that may differ from the commit


@contextmanager
def opened() -> Iterator[Repo]:
    """The DVC repository of the working folder. Raises LaureateError where DVC cannot open it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            yield repo
    except DvcException as error:
        raise LaureateError(f"DVC: {error}") from error


def nodes_of(repo: Repo) -> list[Any]:
    """DVC's own objects of all stages of dvc.yaml, in the order of `dvc repro`."""
    from dvc.repo.reproduce import plan_repro

    planned = plan_repro(repo.index.graph, repo.stage.collect(FILE))
    return [node for node in planned if node.cmd and node.path_in_repo == FILE]


def stages_of(repo: Repo) -> list[Stage]:
    """All stages of dvc.yaml in the order of `dvc repro`, as DVC's index, graph and status give them."""
    graph, own = repo.index.graph, nodes_of(repo)
    names = [node.addressing for node in own]
    needs = {node.addressing: [to.addressing for to in graph.successors(node) if to in own] for node in own}
    stale = out_of_date(names, needs, repo.status(targets=[FILE]))
    return [Stage(name, tuple(needs[name]), name in stale) for name in names]


@dataclass(frozen=True)
class Remote:
    """The default DVC remote."""

    name: str
    options: dict[str, Any]  # its configuration, with an absolute url

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.options["url"])


def remote_of(repo: Repo) -> Remote:
    """The default remote. Raises LaureateError if there is none, or one that has no run-cache (HTTP)."""
    name = repo.config["core"].get("remote")
    if not name:
        raise LaureateError(
            "the cluster exchanges data through the default DVC remote, and there is none: "
            "run `dvc remote add --default NAME URL`"
        )
    options = json.loads(json.dumps(dict(repo.config["remote"][name]), default=str))
    url = str(options["url"])
    if url.startswith(("http://", "https://")):
        raise LaureateError(
            f"DVC has no run-cache on an HTTP remote ({url}): use S3, SSH, WebDAV or a folder"
        )
    return Remote(name, options)


def entries_of(repo: Repo, names: Sequence[str]) -> dict[str, Any]:
    """Push the outputs of stages that are up to date, with their run-cache entries => their lock entries."""
    from dvc.repo import lock_repo

    from laureate.cluster.worker import push

    with lock_repo(repo):
        return {name: push(repo, repo.stage.collect(name)[0]) for name in names}


def take_results(repo: Repo, made: Mapping[str, Any]) -> None:
    """Put what a cluster made in place as if it had run here: outputs, dvc.lock, the local run-cache.

    `made`: lock entry by stage, in an order in which they run. Not left to the remote's run-cache: of several
    files there DVC takes the newest alone, and a push that was killed leaves a file that is none. Raises
    LaureateError for objects that the remote does not have.
    """
    from dvc.repo import lock_repo
    from dvc.stage.loader import StageLoader

    from laureate.cluster.worker import put_in_place

    stages = []
    with lock_repo(repo):
        for address, entry in made.items():
            put_in_place(repo, address, entry)
            (stage,) = repo.stage.collect(address)
            StageLoader.fill_from_lock(stage, entry)
            repo.stage_cache.save(stage)
            stages.append(stage)
        if stages:  # at once: reading and writing dvc.lock takes a second
            stages[0].dvcfile.dump_stages(stages, update_pipeline=False)


def check_commit(repo: Repo) -> str:
    """The commit to clone. Raises LaureateError naming files that a clone would lack or have otherwise."""
    outs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    deps = [Path(dep.fs_path) for stage in repo.index.stages for dep in stage.deps if dep.protocol == "local"]
    root = Path(repo.root_dir)

    def within(path: Path, places: Sequence[Path]) -> bool:
        return any(place == path or place in path.parents for place in places)

    changed = set(_git("diff", "--name-only", "-z", "HEAD")) | set(
        _git("ls-files", "-z", "--others", "--exclude-standard")
    )
    tracked = {root / name for name in _git("ls-files", "-z")}
    # a folder that holds outputs is a dependency as a whole: what lies beside them counts
    shared = [dep for dep in deps if dep.is_dir() and any(dep in out.parents for out in outs)]
    changed |= {
        str(file.relative_to(root))
        for folder in shared
        for file in folder.rglob("*")
        if file.is_file() and file not in tracked and file.name != ".gitignore"
    }
    wrong = sorted(
        name
        for name in changed
        if name not in FREE
        and Path(name).name != ".gitignore"
        and not within(root / name, outs)
        and (name == "dvc.yaml" or within(root / name, deps))
    )
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise LaureateError(
            f"{', '.join(wrong[:3])}{more}: stages read this, and it is not as in the last commit; "
            "commit it or remove it, since workers clone that commit"
        )
    return _git("rev-parse", "HEAD")[0].strip()


def own_files() -> dict[str, str]:
    """Name => text of the files that a clone gets as they are here: params.yaml, and each .gitignore.

    DVC writes .gitignore beside outputs, and hashes it with a folder that a stage reads.
    """
    names = [*_git("ls-files", "-z", "--modified"), *_git("ls-files", "-z", "--others", "--exclude-standard")]
    ignores = [name for name in names if Path(name).name == ".gitignore" and Path(name).is_file()]
    return {name: Path(name).read_text(encoding="utf-8") for name in ["params.yaml", *ignores]}


def bundle_of(commit: str, folder: Path) -> bytes:
    """A git bundle with one commit and its history."""
    file = folder / "bundle"
    ref = "refs/laureate/cluster"
    _git("update-ref", ref, commit)
    try:
        _git("bundle", "create", "--quiet", str(file), ref, "HEAD")
    finally:
        _git("update-ref", "-d", ref)
    return file.read_bytes()


def _git(*words: str) -> list[str]:
    """Run git => what it printed, split at NUL. Raises LaureateError with its message."""
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    if done.returncode:
        raise LaureateError(f"git {words[0]}: {done.stderr.strip()}")
    return [part for part in done.stdout.split("\0") if part]
