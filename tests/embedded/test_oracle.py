"""The oracle: from small models to its page, and its statistics where the truth is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

from laureate import cli  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.core.files import write_text  # noqa: E402
from laureate.embedded import prompt_writer  # noqa: E402
from laureate.embedded.oracle import picture_pool, resampled_studies, simulation_study  # noqa: E402
from laureate.embedded.oracle.pool_features import Looks  # noqa: E402
from laureate.evaluation import scores  # noqa: E402
from laureate.formats import prompts  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import adapter_files, injection  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.simulator.museum import collection  # noqa: E402
from laureate.stages import sample, train  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TINY = {"prompts": 6, "references": 12, "studies": 3, "study_prompts": 3, "study_references": 4, "draws": 20}


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """A small study of the embedded world with two adapters and judges that guess. The adapters are as
    training leaves them, but with weights that change the pictures a lot."""
    folder = tmp_path_factory.mktemp("oracle")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(params.load(), 4)
    write_text(folder / "data/prompts.yaml", prompt_writer.as_yaml(prompt_writer.study(2)))
    found = base_model.find(folder / "base")
    for rank in (2, 4):
        adapter = Adapter(rank, float(rank))
        layers = injection.attach(found.unet(), [adapter], ["to_q", "to_k", "to_v", "to_out.0"], seed=0)
        with torch.no_grad():
            for layer in layers.values():
                layer.own("b", 0).normal_(generator=torch.Generator().manual_seed(rank))
        target = folder / paths.ADAPTERS / f"rank-{rank}"
        adapter_files.save(target, adapter_files.export(layers, 0), adapter, list(layers))
    file = folder / "params.yaml"
    values = yaml.safe_load(file.read_text())
    judges = {
        kind: {"kind": kind, "source": str(tiny_models / kind), "sha256": None} for kind in ("vision", "clip")
    }
    values["evaluate"] = {"judges": judges}
    file.write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(made)
    return params.load()


def test_the_command_writes_its_findings_and_goes_on_where_it_was(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    assert cli.main(["oracle", *options]) == 0
    found = json.loads(simulation_study.METRICS.read_text())
    assert set(found["scores"]) == set(resampled_studies.INTERVALS)
    assert set(found["scores"]["kid"]) == {"baseline", "rank-2", "rank-4"}
    assert set(found["advice"]) == set(resampled_studies.CRITERIA)
    assert all(0 <= one["cover_interval"] <= 1 for by in found["scores"].values() for one in by.values())
    assert {(d["prompts"], d["seeds"]) for d in found["designs"]} == {(2, 2), (3, 2), (6, 1), (6, 2)}
    page = simulation_study.PAGE.read_text()
    assert "KID" in page
    assert "| rank 4 |" in page

    files = {p: p.stat().st_mtime_ns for p in simulation_study.FOLDER.rglob("*.np?")}
    assert (
        len(files) == 11
    )  # a part of each model and of portraits, what judges saw of it, and three of LPIPS
    lost = next((simulation_study.FOLDER / "rank-2").glob("*.npy"))
    lost.unlink()
    again = simulation_study.METRICS.read_bytes(), simulation_study.PAGE.read_bytes()
    capsys.readouterr()
    assert cli.main(["oracle", *options]) == 0
    assert (
        simulation_study.METRICS.read_bytes(),
        simulation_study.PAGE.read_bytes(),
    ) == again  # the same pictures came back
    kept = {p for p, time in files.items() if p.exists() and p.stat().st_mtime_ns == time}
    assert set(files) - kept == {lost}


def test_another_adapter_is_drawn_anew_and_a_missing_one_is_named(study: params.Params) -> None:
    chosen = picture_pool.fresh_prompts(2, [])
    before = picture_pool.generated(study, "rank-2", chosen, Path("kept"))[0]
    weights = paths.ADAPTERS / "rank-2" / paths.ADAPTER_WEIGHTS
    weights.write_bytes((paths.ADAPTERS / "rank-4" / paths.ADAPTER_WEIGHTS).read_bytes())
    after = picture_pool.generated(study, "rank-2", chosen, Path("kept"))[0]
    assert before.file != after.file
    weights.unlink()
    with pytest.raises(LaureateError, match="rank-2"):
        picture_pool.generated(study, "rank-2", chosen, Path("kept"))


def test_its_pictures_are_those_that_sample_would_draw(study: params.Params) -> None:
    known = prompts.load(study.sample.prompts)
    part = picture_pool.generated(study, "rank-4", known, Path("kept"))[0]
    sample.run(study, model="rank-4")
    from PIL import Image

    names = [f"{prompt.id}_{seed}.png" for prompt in known for seed in study.sample.seeds]
    drawn = np.stack([np.asarray(Image.open(paths.SAMPLES / "rank-4" / name)) for name in names])
    np.testing.assert_array_equal(part.read(), drawn)


def test_prompts_and_portraits_are_fresh(study: params.Params) -> None:
    known = prompt_writer.study(5)
    fresh = picture_pool.fresh_prompts(30, known)
    assert len({prompt.text for prompt in fresh}) == 30
    assert not {prompt.text for prompt in fresh} & {prompt.text for prompt in known}
    assert picture_pool.fresh_prompts(10, known) == fresh[:10]
    parts = picture_pool.portraits(study, 3, Path("kept"), 1)
    assert parts[0].read().shape == (3, 32, 32, 3)
    ours = {prize.portrait for person in collection.collection() for prize in person.prizes}
    assert not ours & set(picture_pool._hung(50))


def world(
    seed: int, worse: dict[str, float], prompts: int = 60, portraits: int = 400
) -> resampled_studies.World:
    """Judges' answers made up: features of a model lie off the portraits by `worse` in one direction."""
    rng = np.random.default_rng(seed)

    def looks(n: int, off: float) -> Looks:
        features = np.repeat(rng.normal(size=(n // 2, 6)), 2, axis=0) * 0.5 + rng.normal(size=(n, 6))
        features[:, 0] += off
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        embedding = features[:, :3]
        return Looks(
            features.astype(np.float32),
            unit.astype(np.float32),
            features.astype(np.float32),
            {"hair": rng.dirichlet(np.ones(4), size=n)},
            [embedding.sum(axis=0)],
            float((embedding**2).sum()),
        )

    real = looks(portraits, 0.0)
    models = {}
    for model, off in worse.items():
        seen, n = looks(2 * prompts, off), 2 * prompts
        distances = scores.lpips([seen.features[:, :3]], [real.features[:, :3]])
        per_picture = rng.normal(size=(3, n)) + 30
        models[model] = resampled_studies.Seen(
            seen, distances.astype(np.float32), *per_picture[:2], per_picture[2:].T, np.ones(n)
        )
    return resampled_studies.World(models, real, 2)


def test_truths_are_the_scores_of_everything() -> None:
    made_up = world(1, {"baseline": 2.0, "rank-2": 0.3})
    everything = resampled_studies.Study(np.arange(60), np.arange(400), 2)
    for model, true in resampled_studies.truths(made_up).items():
        for key, score in resampled_studies.measures(made_up, model, everything).items():
            assert score() == pytest.approx(true[key], rel=1e-4, abs=1e-4), key


def test_intervals_cover_and_the_adviser_is_right_where_the_truth_is_plain() -> None:
    made_up = world(2, {"baseline": 3.0, "rank-2": 1.5, "rank-4": 0.0, "rank-8": 0.0})
    truths = resampled_studies.truths(made_up)
    drawn = list(resampled_studies.studies(made_up, 60, 20, 2, 25, seed=3))
    covered = resampled_studies.cover(made_up, drawn, truths, 200, ["kid", "cmmd", "lpips", "clip"])
    for key, by_model in covered.items():
        held = np.mean([one.summary()["cover_interval"] for one in by_model.values()])
        assert held >= 0.9, (key, held)
    said = resampled_studies.ask(made_up, drawn, truths, "kid", margin=0.1)
    assert np.mean([one.right for one in said]) >= 0.9


def test_an_interval_of_a_study_that_draws_everything_is_not_credited() -> None:
    """A study that draws nearly all of the pool is near it by luck: that must not count as covering."""
    found = resampled_studies.Coverage(1.0, [], {}, [])
    found.add(scores.Estimate(1.1, 0.9, 1.3, 0.01, 0.0, 10), (0.9, 1.3), (0.01, 1.0))
    assert found.summary()["cover_interval"] == 0.0
    found.add(scores.Estimate(1.1, 0.9, 1.3, 0.01, 0.0, 10), (0.9, 1.3), (0.9, 1.0))
    assert found.summary()["cover_interval"] == 0.5


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"studies": 1}, "needs studies of at least 2, got 1"),
        ({"prompts": 10}, "cannot draw 49 prompts from 10: ask for more prompts"),
        ({"references": 20}, "cannot draw 34 references from 20"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, int], sentence: str) -> None:
    with pytest.raises(LaureateError, match=sentence):
        simulation_study.Sizes(**sizes)


def test_a_world_without_readers_of_attributes_is_refused(study: params.Params) -> None:
    roles = study.evaluate.roles.model_copy(update={"attributes": None})
    evaluate = study.evaluate.model_copy(update={"roles": roles})
    with pytest.raises(LaureateError, match="draws the embedded world"):
        simulation_study.Judges(study.model_copy(update={"evaluate": evaluate}))
