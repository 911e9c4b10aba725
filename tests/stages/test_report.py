"""Stage report: what it reads, what it refuses, and that the same study gives the same page."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_report import Page
from PIL import Image

from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.evaluation import evidence
from laureate.stages import report


@pytest.fixture
def study(drawn_report: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(drawn_report)


def test_the_sheets_are_files_of_a_size_that_git_can_hold(drawn_report: Path) -> None:
    folder = drawn_report / "metrics/report"
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {report.PROMPTS, report.TUNED, report.MATRIX, report.SCORES, report.LOSSES, report.PRICES}
    for name in (report.PROMPTS, report.TUNED, report.MATRIX):
        with Image.open(folder / "figures" / name) as picture:
            assert min(picture.size) > 700
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 4_000_000


def test_the_same_study_gives_the_same_bytes(study: Path) -> None:
    before = {p.name: p.read_bytes() for p in Path("metrics/report").rglob("*") if p.is_file()}
    report.run(params.load())
    assert {p.name: p.read_bytes() for p in Path("metrics/report").rglob("*") if p.is_file()} == before


def test_the_page_puts_forward_the_advised_rank_whatever_is_selected(study: Path) -> None:
    loaded = params.load()
    advice = json.loads(Path("metrics/adviser.json").read_text())
    other = next(rank for rank in loaded.ranks if rank != advice["rank"])
    found = report.read_content(loaded.model_copy(update={"selected": "baseline"}))
    assert found.selected == f"rank-{advice['rank'] or advice['best']}"
    assert found.parameters == report.read_content(loaded).parameters
    Path("metrics/adviser.json").write_text(json.dumps(advice | {"rank": None, "best": other}))
    assert report.read_content(loaded).selected == f"rank-{other}"


def test_portraits_and_the_gallery_may_be_left_out(study: Path) -> None:
    report.run(with_report(portraits=0, noises=0))
    page = Page(Path("metrics/report/index.html").read_text(encoding="utf-8"))
    assert "Atelier & Co" not in page.text
    assert "8 training portraits, 6 held out" in " ".join(page.text.split())
    assert not {"explore", "vote"} & set(page.all("section", "id"))
    assert page.all("a", "href").count("#vote") == 0


@pytest.mark.parametrize(
    ("remove", "sentence"),
    [
        ("metrics/comparison.csv", "laureate compare"),
        ("metrics/adviser.json", "laureate compare"),
        ("metrics/train/rank-4.csv", "laureate train"),
        ("data/samples/baseline/manifest.json", "laureate sample --model baseline"),
        ("data/dataset/train/metadata.jsonl", "laureate prepare"),
        ("data/evidence/rank-4.safetensors", "laureate evaluate --model rank-4"),
    ],
)
def test_a_missing_input_is_named_and_the_old_page_stays(study: Path, remove: str, sentence: str) -> None:
    Path(remove).unlink()
    with pytest.raises(LaureateError, match=sentence):
        report.run(params.load())
    assert Path("metrics/report/index.html").is_file()


def test_a_table_of_other_models_is_refused(study: Path) -> None:
    with pytest.raises(LaureateError, match="other models"):
        report.run(params.load().model_copy(update={"ranks": [4]}))


def with_report(**values: int) -> params.Params:
    loaded = params.load()
    return loaded.model_copy(update={"report": loaded.report.model_copy(update=values)})


def test_the_gallery_has_every_noise_its_models_and_their_nearest_portraits(study: Path) -> None:
    found = report.read_content(params.load()).gallery
    assert found.models == ["baseline", "rank-4", "rank-16"]
    assert [(noise.prompt, noise.seed) for noise in found.noises][:3] == [
        (found.noises[0].prompt, 1),
        (found.noises[0].prompt, 2),
        (found.noises[2].prompt, 1),
    ]
    assert len(found.noises) == 4 * 2
    assert len(found.portraits) == 8
    for noise in found.noises:
        assert noise.pictures.keys() == noise.nearest.keys() == set(found.models)
        near = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
        row = list(near.pictures).index(f"{noise.prompt}_{noise.seed}")
        assert noise.nearest["rank-4"][0].portrait == near.arrays["train"][row].argmin()


def test_fewer_noises_and_smaller_pictures_may_be_asked_for(study: Path) -> None:
    found = report.read_content(with_report(noises=5, width=64)).gallery
    assert [noise.seed for noise in found.noises].count(1) == 4  # every prompt before a second seed
    assert len(found.noises) == 5
    with Image.open(
        io.BytesIO(base64.b64decode(found.noises[0].pictures["rank-4"].partition(",")[2]))
    ) as one:
        assert one.size == (64, 64)


def test_evidence_of_other_pictures_or_portraits_is_refused(study: Path) -> None:
    path = Path("data/evidence/rank-4.safetensors")
    found = evidence.load(path, "rank-4")
    evidence.save(path, replace(found, pictures=[f"other_{i}" for i in range(len(found.pictures))]))
    with pytest.raises(
        LaureateError, match=r"rank-4.safetensors lacks \S+ with seed 1; run `laureate evaluate"
    ):
        report.read_content(params.load())
    fewer = dict(found.arrays) | {"train": found.arrays["train"][:, 1:]}
    evidence.save(path, replace(found, arrays=fewer))
    with pytest.raises(LaureateError, match="to 7 training portraits, but there are 98 and 8"):
        report.read_content(params.load())
    without = {key: value for key, value in found.arrays.items() if key != "train"}
    evidence.save(path, replace(found, arrays=without))
    assert "rank-4" not in report.read_content(params.load()).gallery.noises[0].nearest
