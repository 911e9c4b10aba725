"""Folders of public trouble reports: names, links, system files, layouts of the trade, mended copies."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from user_pictures import EXPECTED, ODD, SIZE, Rows, caption, encoded, picture, problems, table, texts

from laureate import cli
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.dataset import folder_check, layouts, user_folder
from laureate.formats import imagefolder
from laureate.stages import prepare

# --- names and places


def test_deep_names(folder: Path, prepared: Callable[..., Rows], tmp_path: Path) -> None:
    place = folder / ("a series of portraits " * 5) / ("Ä" * 100)
    place.mkdir(parents=True)
    picture(50).save(place / "p.jpg")
    picture(51).save(place / "q.jpg")
    rows = prepared()
    assert len(rows) == 8
    assert max(len(name.encode()) for name in rows) <= 204
    assert len([*(tmp_path / "dataset").rglob("*.png")]) == 8


SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini", "._p00.jpg", "Icon\r", "@eaDir/p00.jpg",
          ".ipynb_checkpoints/p00-checkpoint.jpg", "__MACOSX/p00.jpg", ".hidden/metadata.jsonl")  # fmt: skip


@pytest.mark.parametrize("name", SYSTEM)
def test_system_files_are_ignored_everywhere(
    folder: Path, prepared: Callable[..., Rows], tmp_path: Path, name: str
) -> None:
    caption(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"{")
    assert folder_check.check(folder, near=0.02) == []
    assert texts(prepared()) == EXPECTED
    before = imagefolder.dataset_fingerprint(tmp_path / "dataset")
    (tmp_path / "dataset" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "dataset" / name).write_bytes(b"x")
    assert imagefolder.dataset_fingerprint(tmp_path / "dataset") == before


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_source_that_is_no_folder_is_named(
    tmp_path: Path, wanted: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if what == "file":
        (tmp_path / "pictures").touch()
    with pytest.raises(LaureateError, match=r"prepare\.source: .*/pictures is (no folder|a file)") as raised:
        prepare.run(wanted(source="~/pictures"), out=tmp_path / "dataset")
    assert "crawl" not in str(raised.value)


@pytest.mark.parametrize("source", ["~no-such-user-1/pictures", "$HOME/pictures", "~/pictures/none"])
def test_a_path_that_a_shell_would_expand_is_no_error_of_ours(
    tmp_path: Path, wanted: Callable[..., Params], source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LaureateError, match="pictures"):
        prepare.run(wanted(source=source), out=tmp_path / "dataset")
    assert cli.main(["doctor", source]) == 1
    assert "unexpected" not in capsys.readouterr().err


def test_a_source_in_the_home_folder_is_found(
    folder: Path,
    prepared: Callable[..., Rows],
    monkeypatch: pytest.MonkeyPatch,
    wanted: Callable[..., Params],
) -> None:
    caption(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    prepare.run(wanted(source="~/mine"), out=folder.parent / "out")
    assert len([*(folder.parent / "out").rglob("*.png")]) == 6


def test_links_are_followed_and_loops_end(
    folder: Path, prepared: Callable[..., Rows], tmp_path: Path
) -> None:
    caption(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    picture(50).save(elsewhere / "q.jpg")
    (elsewhere / "q.txt").write_text("CAPTION q")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    cache = tmp_path / "cache"
    (folder / "p00.jpg").rename(cache)
    (folder / "p00.jpg").symlink_to(cache)
    (folder / "nowhere.jpg").symlink_to(tmp_path / "none")
    assert [(f.where, f.problem) for f in folder_check.check(folder, near=0.02)] == [
        ("nowhere.jpg", "a link that points nowhere")
    ]
    assert texts(prepared()) == EXPECTED | {"linked-q.png": "CAPTION q"}


def test_a_name_that_is_no_text_is_named(folder: Path) -> None:
    (folder / os.fsdecode(b"p\xff.jpg")).write_bytes(encoded(picture(50), "JPEG"))
    (finding,) = problems(folder)
    assert "not in UTF-8" in finding.problem
    finding.where.encode()


# --- folders of the trade


def a1111(folder: Path) -> None:
    """Pictures as A1111 exports them."""
    from PIL.PngImagePlugin import PngInfo

    for path in folder.glob("*.jpg"):
        info = PngInfo()
        said = f"CAPTION {path.stem} <lora:x:1>\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, Seed: 5"
        info.add_text("parameters", said)
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"), pnginfo=info)
        path.unlink()


def kohya(folder: Path) -> None:
    """Kohya's folder with repeats, and what its scripts leave there."""
    (folder / "10_portrait").mkdir()
    for path in folder.glob("*.jpg"):
        path.rename(folder / "10_portrait" / path.name)
        (folder / "10_portrait" / path.with_suffix(".npz").name).write_bytes(b"latents")
    caption(folder, ".caption")


def onetrainer(folder: Path) -> None:
    """OneTrainer's masks and captions."""
    caption(folder)
    Image.new("L", SIZE).save(folder / "p00-masklabel.png")


def simpletuner(folder: Path) -> None:
    """SimpleTuner's configuration beside the captions."""
    caption(folder)
    (folder / "multidatabackend.json").write_text('[{"id": "mine", "caption_strategy": "textfile"}]')


LAYOUTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "kohya": (kohya, "Kohya's folders REPEATS_NAME (10_portrait"),
    "ai-toolkit": (caption, "captions beside the pictures (.txt), as ai-toolkit"),
    "onetrainer": (onetrainer, "OneTrainer"),
    "simpletuner": (simpletuner, "SimpleTuner"),
    "imagefolder": (lambda f: table(f, "metadata.csv", ("file_name", "text")), "imagefolder (metadata.csv"),
    "a1111": (a1111, "generated pictures with their prompts (prepare.embedded_prompts"),
    "plain": (lambda folder: None, "pictures without captions"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_doctor_says_what_it_recognised_and_shows_five_captions(
    folder: Path, prepared: Callable[..., Rows], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = LAYOUTS[name]
    make(folder)
    assert cli.main(["doctor", str(folder)]) == 0
    told = capsys.readouterr().out
    assert said in told
    assert "6 pictures in 1 folder" in told
    if name not in ("a1111", "plain"):
        assert told.count(": CAPTION p0") == 5
        assert sorted(texts(prepared()).values()) == sorted(EXPECTED.values())


def test_prompts_in_pictures_are_captions_on_request(folder: Path, prepared: Callable[..., Rows]) -> None:
    a1111(folder)
    assert texts(prepared(embedded_prompts=True)) == EXPECTED
    assert not any(text.startswith("CAPTION") for text in texts(prepared()).values())


def test_a_mended_copy_has_no_problem_and_the_folder_stays(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caption(folder, ".caption")
    for name in ("mpo.jpg", "f255.tif", "ztxt.png"):
        (folder / name).write_bytes(ODD[name][0])
        (folder / name).with_suffix(".caption").write_text(f"CAPTION {name}")
    (folder / "wrong.png").write_bytes(encoded(picture(70), "JPEG"))
    (folder / "wrong.caption").write_text("CAPTION wrong")
    (folder / "cut.jpg").write_bytes(encoded(picture(71), "JPEG")[:-900])
    Image.new("RGB", SIZE).save(folder / "black.png")
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    assert cli.main(["doctor", str(folder), "--fix", str(tmp_path / "mended")]) == 0
    told = capsys.readouterr().out
    assert "cut.jpg: left out: it cannot be decoded" in told
    assert "black.png: left out: it is blank" in told
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    there = user_folder.listed(tmp_path / "mended")
    assert {path.name for path in there.pictures} == {f"p0{n}.jpg" for n in range(6)} | {
        "f255.png",
        "wrong.jpg",
    }
    assert "mended.part" not in " ".join(path.name for path in tmp_path.iterdir())
    found = {row["file"]: row["text"] for row in user_folder.read(tmp_path / "mended")}
    assert found["wrong.jpg"] == "CAPTION wrong"
    for target in (tmp_path / "mended", folder, folder / "inside"):
        assert cli.main(["doctor", str(folder), "--fix", str(target)]) == 1
    assert "exists" in capsys.readouterr().err


def test_a_hundred_pictures_take_less_than_three_seconds(tmp_path: Path) -> None:
    for number in range(100):
        noise = np.random.default_rng(number).integers(0, 255, (36, 24, 3), np.uint8)
        Image.fromarray(noise).resize((496, 744)).save(tmp_path / f"{number}.jpg")
    caption(tmp_path)
    begun = time.process_time()
    there = user_folder.listed(tmp_path)
    layouts.summary(there, user_folder.captions_of(there))
    assert folder_check.check(tmp_path) == []
    assert time.process_time() - begun < 3
