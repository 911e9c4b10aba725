"""laureate poster: what it writes, and every failure in one sentence with nothing left behind."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import scripts
from PIL import Image

from laureate import cli
from laureate.imaging import png
from laureate.poster import template
from laureate.simulator.portraits import attributes, portrait

TEXTS = ["--name", "Ada Ångström", "--subject", "Physics 2026"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two portraits, one of which says how it was made, and what is no portrait."""
    monkeypatch.chdir(tmp_path)
    for seed, name in ((1, "one"), (2, "two")):
        who = attributes.random_attributes(np.random.default_rng(seed))
        drawn = portrait.draw(who, "laureate", seed)
        Path(f"{name}.png").write_bytes(png.encode(drawn, "generated", {"generated": True, "seed": seed}))
    drawn.save("plain.jpg")
    drawn.save("moving.gif", save_all=True, append_images=[drawn.rotate(9)])
    Image.new("L", (8000, 7000)).save("large.png")
    Path("notes.png").write_text("these are notes")
    values = template.load("one").model_dump()
    values["texts"]["name"]["x"] = [0.5, 0.1]
    Path("wrong.yaml").write_text(json.dumps(values))
    Path("broken.yaml").write_text("title: [")
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_a_poster_that_says_what_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    call = ["poster", "one.png", *TEXTS, "--contribution", "for the line", "--footer", "Academy"]
    assert cli.main(call) == 0
    assert capsys.readouterr().out == "one-poster.png: 1080 x 2041 pixels\n"
    after = files(folder)
    assert set(after) - set(before) == {"one-poster.png"}
    assert {name: after[name] for name in before} == before
    with Image.open("one-poster.png") as picture:
        assert picture.size == (1080, 2041)
        description, xmp = picture.info["Description"], picture.info["XML:com.adobe.xmp"]
    assert description == (
        "generated: a poster of a portrait and texts. Not an award of the Nobel Foundation."
    )
    assert "compositeWithTrainedAlgorithmicMedia" in xmp
    record = png.record_of(after["one-poster.png"])
    assert record is not None
    assert record["generated"] is True
    assert record["note"] == "Not an award of the Nobel Foundation"
    assert record["portraits"] == [
        {
            "sha256": hashlib.sha256(before["one.png"]).hexdigest(),
            "record": {"generated": True, "seed": 1},
        }
    ]
    assert record["texts"]["name"] == "Ada Ångström"


def test_two_people_stand_side_by_side(folder: Path) -> None:
    call = ["poster", "one.png", *TEXTS, "--second", "plain.jpg", "--second-name", "Bo Öst", "--out", "p.png"]
    assert cli.main(call) == 0
    record = png.record_of(Path("p.png").read_bytes())
    assert record is not None
    assert [each["record"] for each in record["portraits"]] == [{"generated": True, "seed": 1}, None]
    assert record["template"] == "two people"


def test_the_same_call_gives_the_same_bytes(folder: Path) -> None:
    for out in ("a.png", "b.png"):
        assert cli.main(["poster", "one.png", *TEXTS, "--out", out]) == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_without_the_note_it_is_in_the_metadata_only(folder: Path) -> None:
    assert cli.main(["poster", "one.png", *TEXTS, "--out", "a.png"]) == 0
    assert cli.main(["poster", "one.png", *TEXTS, "--out", "b.png", "--no-note"]) == 0
    with_note, without = (np.asarray(Image.open(name)) for name in ("a.png", "b.png"))
    rows = np.flatnonzero((with_note != without).any(axis=(1, 2)))
    assert rows.min() > 0.98 * len(with_note)  # below the footer
    for name in ("a.png", "b.png"):
        record = png.record_of(Path(name).read_bytes())
        assert record is not None
        assert record["note"] == "Not an award of the Nobel Foundation"


def test_a_template_of_ones_own_another_width_and_font(folder: Path) -> None:
    values = template.load("one").model_dump()
    values["colours"]["band"] = "#103050"
    Path("mine.yaml").write_text(json.dumps(values))
    call = ["poster", "one.png", "--name", "日本 太郎", "--subject", "物理学賞", "--template", "mine.yaml"]
    assert cli.main([*call, "--width", "400", "--font", str(scripts.CJK.path), "--out", "p.png"]) == 0
    with Image.open("p.png") as picture:
        assert picture.size == (400, 756)
        assert picture.getpixel((1, 755)) == (0x10, 0x30, 0x50)
    record = png.record_of(Path("p.png").read_bytes())
    assert record is not None
    assert record["fonts"]["ipaexg.ttf"] == hashlib.sha256(scripts.CJK.path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nobody.png", *TEXTS], "nobody.png cannot be read: No such file"),
        (["notes.png", *TEXTS], "notes.png cannot be used: it is no picture of a known format"),
        (["moving.gif", *TEXTS], "moving.gif cannot be used: it is an animation of 2 frames"),
        (["large.png", *TEXTS], "large.png cannot be used: it has 8000 x 7000 pixels, more than 50 million"),
        (["one.png", *TEXTS, "--out", "two.png"], "two.png is there already: remove it"),
        (["one.png", *TEXTS, "--out", "two.jpg"], "--out is two.jpg: posters are written as PNG"),
        (["one.png", *TEXTS, "--out", "notes.png/a.png"], "notes.png/a.png cannot be written"),
        (["one.png", "--name", " ", "--subject", "Physics"], "the name is empty"),
        (["one.png", "--name", "Ada", "--subject", ""], "the subject is empty"),
        (["one.png", "--name", "w" * 99, "--subject", "x"], "the name is too long: 99 characters do not fit"),
        (["one.png", *TEXTS, "--contribution", "word " * 99], "the contribution is too long"),
        (["one.png", *TEXTS, "--footer", "word " * 30], "the footer is too long"),
        (["one.png", "--name", "中", "--subject", "x"], "the name: 中 (U+4E2D) is missing; name a font"),
        (["one.png", *TEXTS, "--font", "notes.png"], "the font notes.png cannot be read"),
        (["one.png", *TEXTS, "--font", "nothing.ttf"], "the font nothing.ttf cannot be read: No such file"),
        (["one.png", *TEXTS, "--second", "two.png"], "--second and --second-name go together"),
        (["one.png", *TEXTS, "--second-name", "Bo"], "--second and --second-name go together"),
        (["one.png", *TEXTS, "--template", "three"], "there is no template three: name one of one, two"),
        (["one.png", *TEXTS, "--template", "two"], "the template for two people has 2 portraits, got 1"),
        (
            ["one.png", *TEXTS, "--template", "wrong.yaml"],
            "wrong.yaml: texts.name: Value error, x and",
        ),
        (["one.png", *TEXTS, "--template", "broken.yaml"], "the template broken.yaml cannot be read"),
        (["one.png", *TEXTS, "--width", "100"], "--width is 100: it must be between 240 and 8000 pixels"),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    before = files(folder)
    assert cli.main(["poster", *words]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("laureate: ")
    assert says in printed
    assert printed.count("\n") == 1
    assert files(folder) == before


def test_a_full_disk_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    before = files(folder)
    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["poster", "one.png", *TEXTS]) == 1
    assert "one-poster.png cannot be written: No space left on device" in capsys.readouterr().err
    assert files(folder) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v["texts"].pop("name"), "texts.name is missing"),
        (lambda v: v["texts"].update(slogan=v["texts"]["name"]), "texts.slogan is unknown"),
        (lambda v: v["texts"]["name"].update(colour=["teal"]), "colours.teal is missing"),
        (lambda v: v["texts"]["name"].update(fonts="italic"), "fonts.italic is missing"),
        (lambda v: v["texts"]["name"].update(smallest=0.5), "smallest must not be more than largest"),
        (lambda v: v["texts"]["name"].update(y=[0.9, 0.95]), "texts.name and texts.contribution overlap"),
        (lambda v: v["texts"]["name"].update(y=[0.6, 0.75]), "texts.name and portraits[0] overlap"),
        (lambda v: v.update(border=3), "border"),
        (lambda v: v["colours"].update(gold="gold"), "colours.gold"),
    ],
)
def test_a_template_that_cannot_work_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], change: object, says: str
) -> None:
    values = template.load("one").model_dump()
    assert callable(change)
    change(values)
    Path("mine.yaml").write_text(json.dumps(values))
    assert cli.main(["poster", "one.png", *TEXTS, "--template", "mine.yaml"]) == 1
    assert says in capsys.readouterr().err


def test_a_portrait_is_turned_as_the_camera_meant(folder: Path) -> None:
    """Portraits pass through the decoder of all pictures."""
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open("one.png") as upright:
        picture = upright.convert("RGB")
        data = io.BytesIO()
        picture.rotate(180).save(data, "PNG", exif=exif)
    Path("turned.png").write_bytes(data.getvalue())
    for name in ("one", "turned"):
        assert cli.main(["poster", f"{name}.png", *TEXTS, "--width", "300"]) == 0
    pixels = [Image.open(f"{name}-poster.png").tobytes() for name in ("one", "turned")]
    assert pixels[0] == pixels[1]
