"""`laureate score` from the command line: real judges on small pictures, and what people bring."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_study import draw_judged_study
from PIL import Image
from PIL.PngImagePlugin import PngInfo

pytest.importorskip("torch")

from laureate import cli
from laureate.commands import score
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.stages import evaluate

Capture = pytest.CaptureFixture[str]


def draw(
    folder: Path, count: int, seed: int, size: int = 40, texts: Callable[[int], dict[str, str]] | None = None
) -> str:
    """Pictures of blots, with PNG text where `texts` gives some => the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        blots = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8))
        info = PngInfo()
        for key, text in (texts(index) if texts else {}).items():
            info.add_text(key, text)
        blots.resize((size, size), Image.Resampling.BICUBIC).save(
            folder / f"picture-{index}.png", pnginfo=info
        )
    return str(folder)


def infotext(index: int, lora: str = "") -> dict[str, str]:
    return {
        "parameters": f"prompt {index // 2}{lora}\nSteps: {8 + index % 2 * 12}, Sampler: Euler, Seed: {index}"
    }


def comfyui(index: int) -> dict[str, str]:
    graph = {
        "1": {
            "class_type": "KSampler",
            "inputs": {"seed": index, "steps": 20, "positive": ["2", 0], "latent_image": ["3", 0]},
        },
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": f"prompt {index // 2}"}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64}},
    }
    return {"prompt": json.dumps(graph), "workflow": json.dumps({"nodes": [], "links": []})}


def invokeai(index: int) -> dict[str, str]:
    about = {"positive_prompt": f"prompt {index // 2}", "seed": index, "steps": 20, "app_version": "6.0.0"}
    return {"invokeai_metadata": json.dumps(about)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return cli.main(["score", *arguments])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    return draw_judged_study(tmp_path_factory.mktemp("study"), tiny_models)


def test_the_same_numbers_as_evaluate(
    drawn: Path, working_copy: Callable[[Path], Path], capsys: Capture
) -> None:
    """The same judges on the same folders: every value and every end of an interval, all six digits."""
    study = working_copy(drawn)
    for model in ("noise-floor", "baseline", "rank-16"):
        evaluate.run(params.load(), model)
    folders = ["baseline=data/samples/baseline", "rank-16=data/samples/rank-16"]
    more = [
        "--beside",
        "noise-floor=data/dataset/train",
        "--json",
        "out/score.json",
        "--judge=vision",
        "--judge=clip",
    ]
    assert run("--reference", "data/dataset/holdout", *folders, *more) == 0
    found = json.loads(Path("out/score.json").read_text())
    rows = {(row["model"], row["judge"]): row for row in found["rows"]}
    asked = {"vision": ("kid", "fid", "style", "precision", "recall"), "clip": ("cmmd", "clip")}
    for model in ("noise-floor", "baseline", "rank-16"):
        known = json.loads((study / f"metrics/models/{model}.json").read_text())
        for judge, keys in asked.items():
            for key in keys:
                for end in ("", "_low", "_high"):
                    assert rows[model, judge][key + end] == known[key + end], (model, judge, key + end)
    assert "Compared with baseline by prompt and seed: rank-16 (8 pictures)." in capsys.readouterr().out


def test_folders_of_three_programs_pair_by_prompt_and_seed(here: Path, capsys: Capture) -> None:
    folders = [
        "a1111=" + draw(here / "a", 6, 1, texts=infotext),
        "comfy=" + draw(here / "b", 6, 2, texts=comfyui),
        "invoke=" + draw(here / "c", 6, 3, texts=invokeai),
    ]
    files = ["--html", "o/page.html", "--json", "o/table.json", "--csv", "o/table.csv"]
    assert run("--reference", draw(here / "real", 8, 4), *folders, *files) == 0
    out = capsys.readouterr().out
    assert "Compared with a1111 by prompt and seed: comfy (6 pictures), invoke (6 pictures)." in out
    assert "| comfy | 6 | " in out
    found = json.loads(Path("o/table.json").read_text())
    assert found["judges"] == ["imagenet"]
    assert {d["paired_by"] for d in found["differences"]} == {"prompt and seed"}
    assert all(row["n_clusters"] == 3 for row in found["rows"] if row["model"] in found["models"])
    lines = Path("o/table.csv").read_text().splitlines()
    assert lines[0].startswith("model,judge,n,n_clusters,n_reference,kid,kid_low,kid_high,fid")
    assert len(lines) == 5
    page = Path("o/page.html").read_text()
    assert "<title>Which model is nearest to the references?</title>" in page
    for sentence in (*found["advice"], "as the judge imagenet sees it", "clean-fid"):
        assert sentence.lower() in page.lower()
    assert "http" not in page.replace("http-equiv", "")  # needs nothing else


def test_nothing_is_left_behind_in_the_folder(here: Path) -> None:
    real, model = draw(here / "real", 4, 4), draw(here / "a", 4, 1)
    before = sorted(here.rglob("*"))
    assert run("--reference", real, model) == 0
    assert sorted(here.rglob("*")) == before


def test_folders_that_nothing_pairs_are_compared_unpaired(here: Path, capsys: Capture) -> None:
    folders = [f"{name}=" + draw(here / name, 5, seed) for name, seed in (("a", 1), ("b", 2))]
    assert run("--reference", draw(here / "real", 5, 3), *folders) == 0
    assert "Nothing pairs b (5 pictures) with a: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("by", "cells"),
    [("steps", ["steps 8", "steps 20"]), ("lora_weight", ["lora_weight 0.5", "lora_weight 1"])],
)
def test_one_folder_by_a_setting(here: Path, capsys: Capture, by: str, cells: list[str]) -> None:
    def texts(index: int) -> dict[str, str]:
        return infotext(index, f", <lora:ink:{0.5 if index % 2 else 1}>")

    one = draw(here / "grid", 8, 1, texts=texts)
    assert run("--reference", draw(here / "real", 6, 4), one, "--by", by) == 0
    out = capsys.readouterr().out
    assert all(f"| {cell} | 4 | " in out for cell in cells)
    assert "Compared with" in out
    assert "by prompt: " in out  # each cell has a picture of every prompt, of other seeds


def test_a_setting_that_does_not_differ(here: Path, capsys: Capture) -> None:
    one, real = draw(here / "grid", 8, 1, texts=infotext), draw(here / "real", 6, 4)
    assert run("--reference", real, one, "--by", "sampler") == 1
    assert (
        "--by sampler finds one value of it in the metadata of grid: settings that differ there are steps"
        in (capsys.readouterr().err)
    )
    assert run("--reference", real, one, f"b={draw(here / 'b', 2, 1)}", "--by", "steps") == 1
    assert "--by steps splits one folder, but 2 are named" in capsys.readouterr().err


def test_a_condition_that_holds_exits_with_1_after_the_files_are_written(here: Path, capsys: Capture) -> None:
    real, model = draw(here / "real", 5, 3), draw(here / "m", 5, 1)
    assert run("--reference", real, model, "--fail-if", "kid < -1e9", "--json", "a.json") == 0
    assert run("--reference", real, model, "--fail-if", "fid > 0", "--json", "b.json") == 1
    assert "fid > 0 holds for m: " in capsys.readouterr().err
    assert (here / "a.json").read_bytes() == (here / "b.json").read_bytes()


def broken(folder: Path) -> str:
    (Path(draw(folder, 3, 5)) / "picture-1.png").write_bytes(b"GIF89a but no more")
    return str(folder)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (lambda at: ["real", "m=nowhere"], "nowhere is not a folder"),
        (lambda at: ["real", "m=empty"], "empty has no picture"),
        (lambda at: ["real", f"m={draw(at / 'one', 1, 1)}"], "m has 1 picture that can be read, and a score"),
        (lambda at: [draw(at / "one", 1, 1), "m=model"], "references has 1 picture that can be read"),
        (lambda at: ["real", "real"], "references and real are one folder"),
        (lambda at: ["real", "a=model", "b=./empty/../model"], "a and b are one folder"),
        (lambda at: ["real", "model", "a/model"], "the name model is there twice"),
        (lambda at: ["real", "=model"], "'=model' is not NAME=DIR"),
        (lambda at: ["real", "m=model", "--judge", "nobody"], "--judge 'nobody': write KIND=SOURCE"),
        (lambda at: ["real", "m=model", "--judge", "vision=nowhere"], "config.json is missing"),
        (lambda at: ["real", "m=model", "--fail-if", "kid"], "--fail-if 'kid' cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_said_in_a_sentence(
    here: Path, capsys: Capture, arguments: Callable[[Path], list[str]], sentence: str
) -> None:
    draw(here / "real", 4, 3)
    draw(here / "model", 3, 1)
    (here / "empty").mkdir()
    assert run("--reference", *arguments(here)) == 1
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


def test_what_can_be_scored_all_the_same_is_remarked_on(here: Path, capsys: Capture) -> None:
    real, model = draw(here / "real", 4, 3), broken(here / "m")
    shutil.copy(here / "real/picture-0.png", here / "m/picture-9.png")
    Image.new("RGB", (80, 60)).save(here / "m/wide.png")
    (here / "params.yaml").write_text("train: {lr: 1}\n")  # of something else
    assert run("--reference", real, model) == 0
    out = capsys.readouterr().out
    for sentence in (
        "m: 1 file that cannot be read is left out: ",
        "m: 1 of 4 pictures have one colour only, such as ",
        "references and m share 1 picture, pixel by pixel",
        "Pictures have 2 sizes, 40 x 40 (picture-0.png), 80 x 60 (wide.png): each is cut to its",
        "4 references are few",
        "params.yaml is left alone, so its judges do not look: ",
    ):
        assert sentence in out
    assert "| m | 4 | " in out


def test_judges_that_are_named_and_not_there_do_not_stop_the_others(here: Path) -> None:
    values: dict[str, Any] = {"kind": "vision", "source": "nowhere"}
    section = params.Evaluate(judges={"far": params.Judge.model_validate(values)})
    found, notes = score.judges_here([], section)
    assert list(found) == ["imagenet"]
    assert notes[0].startswith("The judge far does not look: nowhere/config.json is missing")
    with pytest.raises(LaureateError, match=r"nowhere/config\.json is missing"):
        score.judges_here(["far"], section)
