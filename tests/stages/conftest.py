"""Studies in which every command can run, for tests of what faults do to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import endpoints
import finished_study
import numpy as np
import pytest
import yaml
from drawn_study import draw_study, write_metrics
from made_once import made_once
from shell import ROOT
from shell import run as shell

from laureate import cli
from laureate.simulator.portraits import attributes, portrait


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
    copy_of_repository: Callable[[Path], Path],
    tiny_models: Path,
    warm_stages: None,
) -> tuple[Path, str]:
    """A copy of the repository with tiny models, in which `dvc repro` has run once; and what that printed.

    To be read only."""

    def make(place: Path) -> None:
        place.mkdir()
        printed = finished_study.make(place / "laureate", copy_of_repository, tiny_models)
        (place / "printed").write_text(printed)

    place = made_once(tmp_path_factory, "finished", make)
    return place / "laureate", (place / "printed").read_text()


@pytest.fixture(scope="session")
def painter() -> Iterator[str]:
    """The address of an images endpoint."""
    with endpoints.endpoint(lambda body, number: endpoints.good) as server:
        yield server.url


@pytest.fixture(scope="session")
def studies(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, trained: Path, painter: str
) -> dict[str, Path]:
    """`empty`: nothing has run; `drawn`: a drawn study, compared; `trained`: one with a trained adapter."""
    places = {name: tmp_path_factory.mktemp(name) for name in ("empty", "drawn", "trained")}
    values = {"crawl": {"limit": 2, "coverage": {"pages": 0, "pictures": 0, "credits": 0}}}
    (places["empty"] / "params.yaml").write_text(yaml.safe_dump(values))
    (places["empty"] / "data").mkdir()
    for name in ("prompts.yaml", "prompts-embedded.yaml"):
        shutil.copy(ROOT / "data" / name, places["empty"] / "data" / name)
    _drawn(places["drawn"], tiny_models)
    shutil.copytree(trained, places["trained"], dirs_exist_ok=True)
    _trained(places["trained"], tiny_models, painter)
    return places


def _drawn(folder: Path, tiny_models: Path) -> None:
    """A drawn study with an image folder, evaluated, compared, in git."""
    draw_study(folder, prompts=3, train=6, holdout=4)
    for judge in ("clip", "vision"):
        shutil.copytree(tiny_models / judge, folder / "models/embedded" / judge)
    mine = folder / "mine"
    mine.mkdir()
    for part in ("train", "holdout"):
        for number, file in enumerate(sorted((folder / "data/dataset" / part).glob("*.png"))):
            shutil.copy(file, mine / file.name)
            (mine / file.name).with_suffix(".txt").write_text(f"A portrait, number {number} of {part}.")
    for name in ("vocabulary.yaml", "prompts-embedded.yaml"):
        shutil.copy(ROOT / "data" / name, folder / "data")
    shutil.copytree(ROOT / "worlds", folder / "worlds")
    (folder / "data/captions.yaml").write_text("{}")

    def change(values: dict[str, Any]) -> None:
        values["prepare"] |= {"source": "mine", "min_train": 3, "min_holdout": 3, "holdout": 0.5, "near": 0.0}
        values["compare"]["judges"] = ["vision", "clip"]
        del values["evaluate"]["judges"]["imagenet"]  # its real weights take their time

    _set(folder, change)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in ("noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16"):
            assert cli.main(["evaluate", "--model", model]) == 0
        assert cli.main(["compare"]) == 0
    (folder / "dvc.lock").write_text("schema: '2.0'\n")
    (folder / ".gitignore").write_text(".work\nmodels\n")
    for words in ("init --quiet", "add --all", "commit --quiet --message results"):
        shell("git", *words.split(), cwd=folder)


def _trained(folder: Path, tiny_models: Path, painter: str) -> None:
    """The trained study with a table, a photo, an endpoint and a base to fetch."""
    shutil.copy(ROOT / "data/vocabulary.yaml", folder / "data")
    who = attributes.random_attributes(np.random.default_rng(5))
    portrait.draw(who, "photograph", 5, (96, 96)).save(folder / "me.png")

    def change(values: dict[str, Any]) -> None:
        values["prepare"]["clip"] = str(tiny_models / "clip")
        values["evaluate"] = {"bootstrap": 50}
        values["compare"] = {"published": str(ROOT / "data/published.yaml")}

    _set(folder, change)
    write_metrics(folder, (2, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["compare"]) == 0
    endpoint = {"url": painter, "model": "m", "key": "PAINTER_KEY", "size": None}
    _set(folder, lambda values: values.update(external={"painter": {"endpoint": endpoint}}))
    fetching = yaml.safe_load((folder / "params.yaml").read_text())
    fetching["base"] = {
        "path": "fetched/base", "sources": [{"folder": "base"}], "lock": "fetched.json", "downloads": "loads",
    }  # fmt: skip
    (folder / "fetch.yaml").write_text(yaml.safe_dump(fetching))


def _set(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = yaml.safe_load((folder / "params.yaml").read_text())
    change(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
