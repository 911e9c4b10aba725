"""docs/portrait.md: its tables come from the benchmark, its pictures can be made again."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_base
import yaml
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import gallery, harness
from benchmarks import portrait as benchmark
from laureate.core.files import write_json
from laureate.evaluation.judges.vision import VisionOutput
from laureate.imaging import png
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.simulator.portraits import attributes

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, root: Path) -> Path:
    """A small study with an adapter, a captioner and a judge, all of random weights."""
    folder = small_base.study(tmp_path_factory.mktemp("measured"))
    found = base_model.find(folder / "base")
    target = folder / "models/lora/rank-2"
    adapter_files.save(target, *small_base.adapter(found.unet(), 2, 2.0), small_base.TARGETS)
    write_json(target / "config.json", {"base": found.fingerprint})
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["prepare"] |= {"clip": str(tiny_models / "clip")}
    values["sample"]["steps"] = 4
    judge = {"kind": "vision", "source": str(tiny_models / "vision")}
    clip = {"kind": "clip", "source": str(tiny_models / "clip")}
    values["evaluate"] = {"judges": {"vision": judge, "clip": clip}}
    values["compare"] = {"judges": ["vision", "clip"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copy(root / "data/vocabulary.yaml", folder / "data/vocabulary.yaml")
    return folder


def test_the_benchmark_runs_and_writes_what_the_page_shows(
    study: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    out = tmp_path / "portrait-embedded-cpu.json"
    assert command.main(["portrait", "--quick", "--people", "3", "--repeats", "2", "--out", str(out)]) == 0
    result = harness.read(out)
    assert [row["strength"] for row in result["rows"]] == [0.45, 1.0]
    assert [row["steps_run"] for row in result["rows"]] == [5, 12]
    assert sum(row["people"] for row in result["beside"]["skin"]["rows"]) == 3
    assert len(result["beside"]["ways"]["rows"]) == 4
    for row in result["rows"]:
        assert all(0 <= row[key] <= 1 for key in ("style_read", "content", "right_photo", "right_portrait"))
    page = tmp_path / "portrait.md"
    shutil.copy(root / "docs/portrait.md", page)
    assert command.main(["page", "--page", str(page), "--results", str(tmp_path)]) == 0
    assert "| 0.45 | 5 |" in page.read_text()


def test_the_tables_are_those_of_the_stored_result(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    page = tmp_path / "portrait.md"
    shutil.copy("docs/portrait.md", page)
    assert command.main(["page", "--page", str(page)]) == 0
    assert page.read_text() == Path("docs/portrait.md").read_text()


def test_scores_of_known_readings() -> None:
    """Readings made of the truth: all right; of the neighbour's: nobody is, and content falls."""
    rng = np.random.default_rng(1)
    who = [attributes.random_attributes(rng) for _ in range(6)]
    classes: dict[str, tuple[str, ...]] = {"style": ("photograph", "laureate")}
    classes |= {name: tuple(values) for name, values in attributes.VOCABULARY.items()}

    def reading(people: list[attributes.Attributes], style: int) -> VisionOutput:
        heads: dict[str, Any] = {"style": np.eye(2)[[style] * len(people)]}
        for name, values in attributes.VOCABULARY.items():
            heads[name] = np.eye(len(values))[[values.index(getattr(person, name)) for person in people]]
        return VisionOutput(np.zeros((len(people), 1)), heads, [])

    people = benchmark.People(who, [], reading(who, 0), reading(who, 1))
    right = benchmark.scores(reading(who, 1), people, 1, classes, "laureate")
    assert all(values.mean() == 1 for values in right.values())
    wrong = benchmark.scores(reading(who[1:] + who[:1], 0), people, 1, classes, "laureate")
    assert wrong["style_read"].mean() == 0
    assert wrong["right_photo"].mean() == wrong["right_portrait"].mean() == 0
    assert wrong["content"].mean() < 0.7
    assert wrong["content_photo"].mean() == 1
    twice = benchmark.scores(reading([p for p in who for _ in range(2)], 1), people, 2, classes, "laureate")
    assert all(values.mean() == 1 and len(values) == 12 for values in twice.values())


def test_the_gallery_is_of_this_person_this_base_and_these_fonts(
    root: Path, embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photo and poster byte for byte; the portrait, which depends on the machine, by its record."""
    folder = root / "docs/gallery"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {"photo.png", "portrait.png", "portrait.json", "poster.png"}
    assert sum(map(len, files.values())) <= 200_000
    assert files["photo.png"] == gallery.photo()
    record = png.record_of(files["portrait.png"])
    assert record is not None
    assert record == json.loads(files["portrait.json"])
    assert record["photo"]["sha256"] == hashlib.sha256(files["photo.png"]).hexdigest()
    assert record["base"]["sha256"] == base_model.find(embedded / "base").fingerprint
    assert record["seed"] == gallery.SEED
    (tmp_path / "portrait.png").write_bytes(files["portrait.png"])
    gallery.poster(tmp_path)
    assert (tmp_path / "poster.png").read_bytes() == files["poster.png"]
    with Image.open(folder / "poster.png") as poster:
        assert poster.size == (gallery.WIDTH, round(gallery.WIDTH * 1.89))


def test_the_gallery_is_made_by_its_command(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    assert command.main(["gallery", "--out", str(tmp_path / "gallery")]) == 0
    made = {path.name for path in (tmp_path / "gallery").iterdir()}
    assert made == {"photo.png", "portrait.png", "portrait.json", "poster.png"}
