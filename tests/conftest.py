"""What every test may use: the repository, a copy of it to run in, and tiny models with random weights."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import warm_server
from made_once import made_once
from shell import ROOT, run
from warm_server import PYTHON

if TYPE_CHECKING:
    from laureate.config.params import Params


# Set before torch is imported anywhere. One thread: tests are small, and sums come out in the same order.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# `laureate` and `dvc` are found as the stages find them, also where .venv is not activated
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# a commit needs a name, and a hook that runs the tests leaves the outer repository in the environment
for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
    os.environ.pop(variable, None)
for person in ("AUTHOR", "COMMITTER"):
    os.environ[f"GIT_{person}_NAME"] = "laureate tests"
    os.environ[f"GIT_{person}_EMAIL"] = "tests@example.org"
os.environ["GIT_CONFIG_GLOBAL"] = os.devnull

Run = Callable[..., str]
MOST_WORKERS = 8  # there are not many more files that take long
# coverage knows no forks of a process that it does not measure
MEASURED = any(name.startswith("COVERAGE_PROCESS") for name in os.environ)
pytest_plugins = ["browser", "drawn_report"]  # their fixtures


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`: one worker more than cores, as a worker waits for browsers, servers and DVC a third of its
    time."""
    from laureate.core import cores

    return min(cores.usable() + 1, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that all workers end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def working_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Copies a folder into one that the test may change and makes that the working folder."""

    def copy(made: Path) -> Path:
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return copy


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study, encoded."""
    import small_base

    from laureate.config import params
    from laureate.stages import encode

    folder = small_base.study(tmp_path_factory.mktemp("study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        encode.run(params.load())
    return folder


@pytest.fixture(scope="session")
def trained(encoded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoded study with the adapter of rank 2, as `laureate train` leaves it."""
    from laureate.config import params
    from laureate.stages import train

    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(params.load(), 2)
    return folder


@pytest.fixture
def study(encoded: Path, working_copy: Callable[[Path], Path]) -> "Params":
    """The parameters of a copy of it, which is the working folder."""
    from laureate.config import params

    working_copy(encoded)
    return params.load()


@pytest.fixture(scope="session")
def warm_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """`find(kind)` => the folder of programs that start in milliseconds; see the module `warm_server`."""
    servers: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("warm")

    def find(kind: str) -> str:
        if kind not in servers:
            servers[kind] = warm_server.install(folder / kind, kind)
        return str(folder / kind)

    yield find
    for server in servers.values():
        server.communicate()  # closes its standard input, upon which it ends


@pytest.fixture(scope="module")
def warm_dvc(warm_programs: Callable[[str], str]) -> Iterator[None]:
    """`dvc` on the PATH starts in milliseconds. Not for its queue, whose workers outlive the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", warm_programs("dvc"), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def warm_stages(warm_programs: Callable[[str], str]) -> Iterator[None]:
    """`laureate` on the PATH, as DVC starts it too, is that of `warm_server`; not where coverage is measured,
    which knows no forks."""
    with pytest.MonkeyPatch.context() as patch:
        if not MEASURED:
            patch.setenv("PATH", warm_programs("stages"), prepend=os.pathsep)
        yield


@pytest.fixture
def warm_python(warm_programs: Callable[[str], str]) -> Iterator[None]:
    """`laureate` and benchmarks that the code under test starts by `sys.executable` start in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        if not MEASURED:
            patch.setattr(sys, "executable", f"{warm_programs('stages')}/python")
        yield


@pytest.fixture(scope="module")
def warm_crawler(warm_programs: Callable[[str], str]) -> Iterator[None]:
    """The crawling process starts in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        if not MEASURED:
            patch.setattr(sys, "executable", f"{warm_programs('crawler')}/python")
        yield


@pytest.fixture(scope="session", autouse=True)
def own_dvc_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """DVC's settings and state of this machine stay out of the tests, and the tests' out of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR", "SITE_CACHE_DIR"):
            patch.setenv(f"DVC_{name}", str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def embedded(root: Path) -> Path:
    """The shipped models: `base/`, `clip/` and `vision/`."""
    return root / "models" / "embedded"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of `models/embedded` with few and random weights: same classes, same shapes between them."""

    def make(folder: Path) -> None:
        run(PYTHON, "-m", "laureate.embedded.pretraining", "random", folder, cwd=ROOT)

    return made_once(tmp_path_factory, "tiny models", make)


@pytest.fixture(scope="session")
def copy_of_repository() -> Callable[[Path], Path]:
    """`copy(folder)` puts the working tree into a new folder, as its own git repository with one commit.

    Changed and new files come along, what git ignores does not: the tests see what a commit would hold now.
    """

    def copy(folder: Path) -> Path:
        names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
        for name in filter(None, names.split("\0")):
            source, target = ROOT / name, folder / name
            if source.is_file():  # not one that was removed without git being told
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
        run("git", "add", "--all", cwd=folder)
        run("git", "commit", "--quiet", "--message", "a copy", cwd=folder)
        return folder

    return copy
