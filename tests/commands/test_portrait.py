"""laureate portrait: what it writes, and every failure in one sentence with nothing left behind."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_base
import yaml
from PIL import Image

from laureate import cli
from laureate.core.files import write_json
from laureate.imaging import png
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.simulator.portraits import attributes, portrait

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, root: Path) -> Path:
    """A small study with one adapter, a captioner of random weights, and some photos."""
    folder = small_base.study(tmp_path_factory.mktemp("portraits"))
    found = base_model.find(folder / "base")
    target = folder / "models/lora/rank-2"
    adapter_files.save(target, *small_base.adapter(found.unet(), 2, 2.0), small_base.TARGETS)
    write_json(target / "config.json", {"base": found.fingerprint})
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["prepare"] |= {"clip": str(tiny_models / "clip")}
    values["sample"]["steps"] = 4
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copy(root / "data/vocabulary.yaml", folder / "data/vocabulary.yaml")
    who = attributes.random_attributes(np.random.default_rng(5))
    photo = portrait.draw(who, "photograph", 5, (96, 96))
    photo.save(folder / "me.png")
    photo.resize((12, 12)).save(folder / "small.png")
    Image.new("L", (8000, 7000)).save(folder / "large.png")
    photo.save(folder / "moving.gif", save_all=True, append_images=[photo.rotate(9)])
    Image.new("L", (96, 95), 255).save(folder / "mask.png")
    (folder / "notes.png").write_text("these are notes")
    return folder


@pytest.fixture
def folder(made: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(made)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_writes_a_portrait_and_how_it_was_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    assert cli.main(["portrait", "me.png", "--steps", "4"]) == 0
    digest = hashlib.sha256((folder / "me.png").read_bytes()).hexdigest()
    name = f"portraits/{digest[:12]}-rank-2-1"
    assert files(folder) - before == {f"{name}.png", f"{name}.json"}
    said = json.loads((folder / f"{name}.json").read_text())
    with Image.open(folder / f"{name}.png") as picture:
        assert picture.size == (32, 32)
        assert json.loads(picture.info["laureate"]) == said
        assert picture.info["Description"].startswith("generated")
    out = capsys.readouterr().out
    assert out.startswith("prompt: A ")
    assert f"prompt: {said['prompt']}\n" in out
    assert said["prompt"].endswith(", in the style of Nobel Laureate.")
    assert "1 of 4 steps" in out
    assert {
        key: said[key] for key in ("generated", "strength", "steps", "steps_run", "seed", "guidance")
    } == {
        "generated": True,
        "strength": 0.45,
        "steps": 4,
        "steps_run": 1,
        "seed": 1,
        "guidance": 4.0,
    }
    assert said["photo"]["sha256"] == digest
    weights = (folder / "models/lora/rank-2/pytorch_lora_weights.safetensors").read_bytes()
    assert said["adapter"] == {"name": "rank-2", "sha256": hashlib.sha256(weights).hexdigest()}
    assert said["base"]["sha256"] == base_model.find("base").fingerprint
    assert said["paper"]["distance"] >= 0


def test_nothing_says_where_the_photo_was_or_holds_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = folder / "Ada Private"
    private.mkdir()
    shutil.move(folder / "me.png", private / "Ada Private.png")
    before = files(folder)
    assert cli.main(["portrait", "Ada Private/Ada Private.png", "--steps", "4", "--n", "2"]) == 0
    photo = (private / "Ada Private.png").read_bytes()
    for new in files(folder) - before:
        data = (folder / new).read_bytes()
        assert b"Ada" not in data
        assert "Ada" not in new
        assert photo not in data
    assert "Ada" not in "".join(capsys.readouterr())


def test_the_same_call_gives_the_same_bytes_and_names_by_seed(folder: Path) -> None:
    for out in ("one.png", "two.png"):
        call = ["portrait", "me.png", "--steps", "4", "--n", "2", "--seed", "7", "--out", out]
        assert cli.main([*call, "--prompt", "A hat."]) == 0
    for seed in (7, 8):
        one, two = ((folder / f"{name}-{seed}.png").read_bytes() for name in ("one", "two"))
        assert one == two
        record = png.record_of(one)
        assert record is not None
        assert (record["seed"], record["prompt"]) == (seed, "A hat.")
    assert (folder / "one-7.png").read_bytes() != (folder / "one-8.png").read_bytes()


def test_the_ground_may_be_kept_and_a_mask_and_a_box_given(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (96, 96), 255).save("whole.png")
    call = ["portrait", "me.png", "--steps", "4", "--prompt", "A hat."]
    assert cli.main([*call, "--background", "keep", "--out", "kept.png"]) == 0
    assert cli.main([*call, "--mask", "whole.png", "--out", "masked.png"]) == 0
    assert cli.main([*call, "--box", "10,0,60,60", "--model", "baseline", "--out", "boxed.png"]) == 0
    out = capsys.readouterr().out
    assert "ground: kept\n" in out
    assert "ground: made paper by the mask\n" in out
    kept, masked, boxed = (json.loads(Path(f"{n}.json").read_text()) for n in ("kept", "masked", "boxed"))
    assert boxed["adapter"] == {"name": "baseline", "sha256": None}
    assert kept["photo"]["sha256"] == masked["photo"]["sha256"] == boxed["photo"]["sha256"]
    pixels = [Image.open(f"{name}.png").tobytes() for name in ("kept", "masked", "boxed")]
    assert pixels[0] == pixels[1]  # a mask that is white all over changes nothing
    assert pixels[0] != pixels[2]


def test_it_starts_from_tones_of_ink_or_from_the_photo_with_a_strength_that_suits(folder: Path) -> None:
    call = ["portrait", "me.png", "--steps", "20", "--prompt", "A hat."]
    assert cli.main([*call, "--out", "ink.png"]) == 0
    assert cli.main([*call, "--start", "photo", "--out", "photo.png"]) == 0
    assert cli.main([*call, "--start", "photo", "--strength", "0.6", "--out", "same.png"]) == 0
    records = [json.loads(Path(f"{name}.json").read_text()) for name in ("ink", "photo", "same")]
    assert [(each["start"], each["strength"], each["steps_run"]) for each in records] == [
        ("ink", 0.45, 9),
        ("photo", 0.75, 15),
        ("photo", 0.6, 12),
    ]
    assert len({Image.open(f"{name}.png").tobytes() for name in ("ink", "photo", "same")}) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nobody.png"], "nobody.png cannot be read: No such file"),
        (["."], ". cannot be read: Is a directory"),
        (["notes.png"], "notes.png cannot be used: it is no picture of a known format"),
        (["moving.gif"], "moving.gif cannot be used: it is an animation of 2 frames"),
        (["large.png"], "large.png cannot be used: it has 8000 x 7000 pixels, more than 50 million"),
        (["small.png"], "small.png is too small: 12 x 12 pixels"),
        (["me.png", "--strength", "0.2", "--steps", "4"], "no step is left at strength 0.2 of 4 steps"),
        (["me.png", "--strength", "0"], "strength is 0: it must be more than 0 and at most 1"),
        (["me.png", "--strength", "1.5"], "strength is 1.5: it must be"),
        (["me.png", "--strength", "nan"], "strength is nan: it must be"),
        (["me.png", "--steps", "0"], "steps is 0: it must be at least 1"),
        (["me.png", "--guidance", "0"], "guidance is 0: it must be at least 1"),
        (
            ["me.png", "--model", "rank-7"],
            "--model rank-7 is unknown: choose one of baseline, rank-2, rank-4",
        ),
        (["me.png", "--model", "rank-4"], "models/lora/rank-4"),  # not trained
        (["me.png", "--box", "50,50,60,60"], "--box 50,50,60,60 is not inside me.png, which has 96 x 96"),
        (["me.png", "--box", "here"], "--box is 'here': give x,y,w,h"),
        (["me.png", "--mask", "mask.png"], "the mask has 96 x 95 pixels, me.png 96 x 96"),
        (["me.png", "--mask", "nothing.png"], "nothing.png cannot be read"),
        (["me.png", "--prompt", ""], "the prompt is empty"),
        (["me.png", "--n", "0"], "--n is 0: it must be between 1 and 64"),
        (["me.png", "--seed", "-1"], "--seed is -1: it must be between 0 and"),
        (["me.png", "--out", "me.jpg"], "--out is me.jpg: portraits are written as PNG"),
        (["me.png", "--out", "me.png"], "me.png is there already"),
        (["me.png", "--control", "data"], "data holds no ControlNet"),
        (
            ["me.png", "--out", "notes.png/one.png", "--prompt", "A hat."],
            "notes.png/one.png cannot be written",
        ),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    before = files(folder)
    assert cli.main(["portrait", *words]) in (1, 2)
    printed = capsys.readouterr().err
    assert printed.startswith("laureate: ")
    assert says in printed
    assert printed.count("\n") == 1
    assert files(folder) == before


def test_an_adapter_of_another_base_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json("models/lora/rank-2/config.json", {"base": "0" * 64})
    assert cli.main(["portrait", "me.png"]) == 1
    assert "was trained on another base" in capsys.readouterr().err
    assert not Path("portraits").exists()


def test_without_a_data_set_the_paper_is_not_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/dataset")
    assert cli.main(["portrait", "me.png"]) == 1
    assert "run `laureate prepare`" in capsys.readouterr().err


def test_a_blank_portrait_is_an_error_and_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    weights = "base/vae/diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    state["decoder.conv_out.weight"].zero_()
    save_file(state, weights, {"format": "pt"})
    before = files(folder)
    assert cli.main(["portrait", "me.png", "--model", "baseline", "--prompt", "A hat."]) == 1
    assert "the portrait with seed 1 is blank" in capsys.readouterr().err
    assert files(folder) == before


@pytest.mark.parametrize("there", ["two-2.png", "two-2.json"])
def test_what_is_there_is_never_written_over(
    folder: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    Path(there).write_text("mine")
    before = files(folder)
    assert cli.main(["portrait", "me.png", "--n", "2", "--out", "two.png"]) == 1
    assert f"{there} is there already" in capsys.readouterr().err
    assert files(folder) == before
    assert Path(there).read_text() == "mine"


def test_a_record_without_its_portrait_is_that_of_a_killed_run(folder: Path) -> None:
    words = ["portrait", "me.png", "--out", "one.png", "--prompt", "A hat."]
    assert cli.main(words) == 0
    drawn = (folder / "one.png").read_bytes()
    (folder / "one.png").unlink()
    assert cli.main(words) == 0
    assert (folder / "one.png").read_bytes() == drawn


def test_a_disk_that_fills_up_leaves_neither_pictures_nor_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third file cannot be flushed: the two before it go as well."""
    before, flushed, real = files(folder), [], os.fsync

    def full(file: int) -> None:
        flushed.append(file)
        if len(flushed) > 2:
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["portrait", "me.png", "--n", "2", "--prompt", "A hat.", "--out", "p.png"]) == 1
    assert "p-2.png cannot be written: No space left on device" in capsys.readouterr().err
    assert files(folder) == before


def test_bytes_decide_not_the_name(folder: Path) -> None:
    """A JPEG is read as one whatever it is called; the same bytes give the same portrait."""
    data: Any = io.BytesIO()
    with Image.open("me.png") as picture:
        picture.save(data, "JPEG", quality=90)
    for name in ("a.png", "b"):
        Path(name).write_bytes(data.getvalue())
        assert cli.main(["portrait", name, "--prompt", "A hat.", "--out", f"out-{name[0]}.png"]) == 0
    assert Path("out-a.png").read_bytes() == Path("out-b.png").read_bytes()
