"""The oracle with many trainings of every rank: from a small study to its page, and on scores whose truth is
known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate import cli
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.embedded.oracle import (
    coverage,
    luck_of_training,
    ranks_page,
    resampled_studies,
    retrained_pool,
    retraining_report,
    retraining_study,
    simulation_study,
)
from laureate.embedded.oracle.pool_features import PoolFeatures

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRAININGS, PROMPTS = 12, 24


def pool_of(luck: dict[str, float], seed: int = 0) -> resampled_studies.Pool:
    """A pool in which every training of a model is shifted by its own luck: model => its spread."""
    rng = np.random.default_rng(seed)
    n = TRAININGS * PROMPTS
    drawn_by = np.repeat(np.arange(TRAININGS), PROMPTS)

    def features(x: np.ndarray) -> PoolFeatures:
        x = x.astype(np.float32)
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        even = np.tile([0.5, 0.5], (len(x), 1)).astype(np.float32)
        return PoolFeatures(x, unit, x, {"style": even, "hair": even}, [], 0.0)

    def model(spread: float, away: float) -> resampled_studies.ModelPool:
        shift = spread * rng.normal(size=(TRAININGS, 1))
        x = rng.normal(size=(n, 4)) + away + shift[drawn_by]
        value = rng.normal(size=n) + shift[drawn_by, 0]
        return resampled_studies.ModelPool(features(x), None, value, value, value[:, None], value)

    models = {name: model(spread, 1.5 if name == "baseline" else 0.5) for name, spread in luck.items()}
    real = features(rng.normal(size=(300, 4)))
    return resampled_studies.Pool(models, real, 1, trainings=tuple(drawn_by.tolist()))


def test_intervals_of_several_trainings_cover_and_those_of_one_do_not() -> None:
    pool = pool_of({"baseline": 0.0, "rank-4": 0.25})
    truth = resampled_studies.true_values(pool)
    found = {}
    for trainings in (1, 3):
        studies = resampled_studies.retrained_studies(pool, 150, PROMPTS, trainings, 40, seed=1)
        by_key = coverage.coverage(pool, studies, truth, 100, ["kid", "clip"])
        found[trainings] = {key: np.mean(of["rank-4"].covers["interval"]) for key, of in by_key.items()}
    for key in ("kid", "clip"):
        assert found[3][key] >= 0.9
        assert found[1][key] < found[3][key] - 0.1


def test_the_truth_about_a_rank_is_that_of_one_adapter_on_average() -> None:
    pool = pool_of({"baseline": 0.0, "rank-4": 2.0})
    truth = resampled_studies.true_values(pool)["rank-4"]["kid"]
    alone = []
    for rows in pool.pictures_of_trainings:
        study = resampled_studies.Study(rows, np.arange(300), 1)
        alone.append(resampled_studies.scores_of(pool, "rank-4", study, ["kid"])["kid"]())
    assert truth == pytest.approx(np.mean(alone), rel=1e-4)


def test_a_study_shares_its_prompts_out() -> None:
    pool = pool_of({"baseline": 0.0, "rank-4": 0.0})
    for study in resampled_studies.retrained_studies(pool, 5, 24, 3, 10, seed=2):
        assert len(set(study.prompts.tolist())) == 24
        assert sorted({study.trainings.count(one) for one in set(study.trainings)}) == [8]
        assert [pool.trainings[prompt] for prompt in study.prompts] == list(study.trainings)
    with pytest.raises(LaureateError, match="cannot be drawn from a pool of 12 trainings"):
        next(resampled_studies.retrained_studies(pool, 1, 24, 13, 10, seed=2))


@given(st.floats(0, 3), st.integers(0, 100))
def test_the_spread_of_trainings_is_found(luck: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = 0.5
    values = rng.normal(scale=luck, size=400) + rng.normal(scale=own, size=400)
    found = luck_of_training.decompose(values.tolist(), [own**2] * 400, 0.04)
    assert found.training == pytest.approx(luck, abs=0.3)
    assert found.training_low <= found.training <= found.training_high
    assert (found.prompts, found.portraits) == pytest.approx((own, 0.2))


def test_the_command_trains_draws_and_writes_its_page(study: params.Params) -> None:
    size = retraining_study.Sizes(4, prompts=9, references=12, studies=3, study_references=4, draws=20)
    retraining_study.run(study, simulation_study.FOLDER, size, 1)
    found = json.loads(retraining_study.METRICS.read_text())
    assert set(found["kinds"]) == {"one training", "3 trainings", "3 trainings, 27 prompts"}
    assert set(found["luck"]["kid"]) == {"rank-2", "rank-4"}
    shown = ranks_page.part_of(ranks_page.PAGE.read_text(), "retraining")
    assert shown == retraining_report.part(found).strip()
    adapters = list((simulation_study.FOLDER / "adapters").iterdir())
    assert len(adapters) == 4 * 2
    times = {path: path.stat().st_mtime_ns for path in simulation_study.FOLDER.rglob("*.npy")}
    before = ranks_page.PAGE.read_bytes()
    retraining_study.run(study, simulation_study.FOLDER, size, 1)  # nothing is trained or drawn again
    assert ranks_page.PAGE.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    seeds = range(retrained_pool.FIRST_SEED, retrained_pool.FIRST_SEED + 2)
    one, other = (retrained_pool.trained(study, seed, simulation_study.FOLDER) for seed in seeds)
    weights = [next(of.adapters[4].glob("*.safetensors")).read_bytes() for of in (one, other)]
    assert weights[0] != weights[1]


def test_too_few_trainings_are_refused(study: params.Params, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["oracle", "--trainings", "2"]) == 1
    assert "needs trainings of at least 4, got 2" in capsys.readouterr().err
    assert not Path("docs/ranks.md").exists()


def test_the_page_in_docs_is_made_from_the_metrics_beside_it(root: Path) -> None:
    results = json.loads((root / "metrics/retraining.json").read_text(encoding="utf-8"))
    page = (root / "docs/ranks.md").read_text(encoding="utf-8")
    assert ranks_page.with_part(page, "retraining", retraining_report.part(results)) == page


def test_the_page_says_the_command_that_made_it(root: Path) -> None:
    results = json.loads((root / "metrics/retraining.json").read_text(encoding="utf-8"))
    (line,) = [line for line in retraining_report.part(results).splitlines() if line.startswith("    ")]
    given = vars(cli._parser().parse_args(line.split()[1:]))
    asked = results["sizes"] | {"study_prompts": results["sizes"]["prompts"]}
    assert all(given[name] == value for name, value in asked.items() if name != "prompts")


def test_the_sizes_of_a_study_are_those_of_the_command(study: params.Params) -> None:
    with pytest.raises(LaureateError, match="needs prompts of at least 9, got 5"):
        simulation_study.run(study, trainings=4, study_prompts=5, study_references=4)


def test_missing_portraits_are_named_before_anything_is_made(study: params.Params) -> None:
    paths.ENCODED.unlink()
    with pytest.raises(LaureateError, match=r"data/encoded\.safetensors"):
        simulation_study.run(study, trainings=4, study_prompts=9, study_references=4)
    assert not simulation_study.FOLDER.exists()


@given(st.permutations(ranks_page.PARTS), st.lists(st.sampled_from(["a", "b | c", "## d\n\ne"]), min_size=3))
def test_parts_of_the_page_keep_their_places_and_their_text(order: list[str], texts: list[str]) -> None:
    page, known = "", {}
    for name, text in zip(order, texts, strict=False):
        page, known = ranks_page.with_part(page, name, text), known | {name: text}
        assert {each: ranks_page.part_of(page, each) for each in known} == known
    assert ranks_page.with_part(page, order[0], texts[0]) == page
    places = [page.index(f"<!-- {name} -->") for name in ranks_page.PARTS if name in known]
    assert places == sorted(places)
    assert page.startswith(ranks_page.HEAD)
