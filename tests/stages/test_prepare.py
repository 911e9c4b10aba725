"""Stage prepare: split, checks, captions, files."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from laureate.config.params import Params, Prepare, Sample
from laureate.core.errors import LaureateError
from laureate.formats.imagefolder import PARTS
from laureate.formats.portraits import write_manifest
from laureate.stages import prepare


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small raw folder as a crawl leaves it: eight drawings, a photograph, an unknown."""
    folder = tmp_path_factory.mktemp("raw")
    noise = np.random.default_rng(0)
    rows = []
    for number in range(10):
        row: dict[str, Any] = {
            **{"id": str(number), "name": f"Øystein {number}", "gender": ("male", "female")[number % 2]},
            **{"year": 2000 + number, "category": "phy", "page": "p", "image": "i", "credit": "Ill. N."},
            **{"kind": "illustration", "file": f"{number}-{2000 + number}-phy.png"},
        }
        if number < 8:
            Image.fromarray(noise.integers(0, 255, (60, 40, 3), np.uint8)).save(folder / row["file"])
            data = (folder / row["file"]).read_bytes()
            row |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        else:
            row |= {"kind": ("photograph", "unknown")[number - 8], "file": None, "sha256": None, "size": None}
        rows.append(row)
    write_manifest(folder / "portraits.jsonl", rows)
    return folder


@pytest.fixture
def copy(raw: Path, tmp_path: Path) -> Path:
    """The raw folder, to be spoilt."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


@pytest.fixture(scope="module")
def wanted(tiny_models: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Params]:
    """Parameters with the random CLIP; keywords change the section `prepare`."""
    captions = tmp_path_factory.mktemp("captions") / "captions.yaml"
    captions.write_text("3-2003-phy: Someone, written by hand.\n")
    given: dict[str, Any] = {
        **{
            "resolution": 16,
            "holdout": 0.4,
            "min_train": 1,
            "min_holdout": 1,
            "clip": str(tiny_models / "clip"),
        },
        **{"vocabulary": str(root / "data/vocabulary.yaml"), "captions": str(captions)},
    }
    prompts = Sample(prompts=[str(root / "data/prompts.yaml")])
    return lambda **changed: Params(prepare=Prepare(**(given | changed)), sample=prompts)


@pytest.fixture(scope="module")
def prepared(raw: Path, wanted: Callable[..., Params], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the small raw folder."""
    out = tmp_path_factory.mktemp("prepared") / "dataset"
    prepare.run(wanted(), raw=raw, out=out)
    return out


def rows_of(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of both sides."""
    return {
        side: [json.loads(line) for line in (out / side / "metadata.jsonl").read_text("utf-8").splitlines()]
        for side in PARTS
    }


def test_the_layout_is_that_of_an_imagefolder(prepared: Path) -> None:
    sides = rows_of(prepared)
    assert sum(map(len, sides.values())) == 8
    for side, rows in sides.items():
        files = {path.name for path in (prepared / side).iterdir()}
        assert files == {row["file_name"] for row in rows} | {"metadata.jsonl"}
        for row in rows:
            with Image.open(prepared / side / row["file_name"]) as picture:
                assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (16, 16))
            assert row["text"].strip()
            assert row["name"].startswith("Øystein")


def test_what_is_left_out_is_listed_with_its_reason(prepared: Path) -> None:
    rows = [json.loads(line) for line in (prepared / "left_out.jsonl").read_text("utf-8").splitlines()]
    assert [row["file"] for row in rows] == ["8-2008-phy", "9-2009-phy"]
    assert "photograph" in rows[0]["reason"]
    assert "credit line" in rows[1]["reason"]


def test_a_caption_written_by_hand_wins(prepared: Path) -> None:
    texts = {row["id"]: row["text"] for rows in rows_of(prepared).values() for row in rows}
    assert texts.pop("3") == "Someone, written by hand."
    assert all(text.endswith(", in the style of Nobel Laureate.") for text in texts.values())
    assert all(("man" if int(i) % 2 == 0 else "woman") in text for i, text in texts.items())


def test_twice_gives_the_same_bytes_and_the_raw_pictures_stay(
    prepared: Path, raw: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    prepare.run(wanted(), raw=raw, out=tmp_path / "again")
    files = {p.relative_to(prepared): p.read_bytes() for p in prepared.rglob("*") if p.is_file()}
    assert {
        p.relative_to(tmp_path / "again"): p.read_bytes()
        for p in (tmp_path / "again").rglob("*")
        if p.is_file()
    } == files
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def spoil(folder: Path, what: str) -> None:
    """Make one thing wrong."""
    manifest, picture = folder / "portraits.jsonl", folder / "1-2001-phy.png"
    lines = manifest.read_text("utf-8").splitlines(keepends=True)
    another = Image.effect_noise((64, 64), 90).convert("RGB")
    if what == "a row without a picture":
        picture.unlink()
    elif what == "a picture without a row":
        another.save(folder / "stray.png")
    elif what == "another picture":
        another.save(picture)
    elif what == "a broken line":
        manifest.write_text("".join([*lines[:2], "{\n", *lines[3:]]), encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("a row without a picture", r"names 1-2001-phy\.png, which is not there"),
        ("a picture without a row", r"stray\.png has no row"),
        ("another picture", r"1-2001-phy\.png differs from its sha256 in portraits\.jsonl"),
        ("a broken line", "line 3 is not a JSON object"),
    ],
)
def test_manifest_and_folder_are_held_against_each_other(
    copy: Path, wanted: Callable[..., Params], what: str, sentence: str
) -> None:
    spoil(copy, what)
    with pytest.raises(LaureateError, match=sentence):
        prepare.run(wanted(), raw=copy, out=copy.parent / "dataset")
    assert not (copy.parent / "dataset").exists()


def test_what_a_crawl_left_must_have_its_manifest(
    copy: Path, wanted: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy.parent / "data").mkdir()
    copy.rename(copy.parent / "data/raw")
    (copy.parent / "data/raw/portraits.jsonl").unlink()
    monkeypatch.chdir(copy.parent)
    with pytest.raises(LaureateError, match=r"portraits\.jsonl does not exist; run `laureate crawl` first"):
        prepare.run(wanted())


def test_a_broken_picture_is_left_out_and_the_rest_goes_on(copy: Path, wanted: Callable[..., Params]) -> None:
    data = (copy / "1-2001-phy.png").read_bytes()[:-99]
    (copy / "1-2001-phy.png").write_bytes(data)
    rows = [json.loads(line) for line in (copy / "portraits.jsonl").read_text("utf-8").splitlines()]
    rows[1]["sha256"] = hashlib.sha256(data).hexdigest()
    rows[2] |= {"file": rows[0]["file"], "sha256": rows[0]["sha256"]}  # the same bytes as another
    (copy / "2-2002-phy.png").unlink()
    write_manifest(copy / "portraits.jsonl", rows)
    prepare.run(wanted(), raw=copy, out=copy.parent / "dataset")
    left = [
        json.loads(line) for line in (copy.parent / "dataset/left_out.jsonl").read_text("utf-8").splitlines()
    ]
    told = {row["file"]: row["reason"] for row in left}
    assert "cannot be decoded" in told["1-2001-phy.png"]
    assert told["2-2002-phy"] == "the same bytes as 0-2000-phy.png"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"min_train": 9}, r"prepare\.min_train"),
        ({"vocabulary": "nowhere.yaml"}, r"nowhere\.yaml does not exist; prepare\.vocabulary"),
        ({"captions": "nowhere.yaml"}, r"nowhere\.yaml does not exist; prepare\.captions"),
        ({"clip": "nowhere"}, "nowhere/config.json is missing"),
    ],
)
def test_the_stage_fails_with_a_sentence(
    raw: Path, wanted: Callable[..., Params], tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LaureateError, match=sentence):
        prepare.run(wanted(**changed), raw=raw, out=tmp_path / "dataset")


@pytest.mark.parametrize(
    ("captions", "sentence"),
    [
        ({"0-2000-phy": "word " * 90}, r"the caption of 0-2000-phy\.png has \d+ tokens"),
        ({"0-2000-phy": " "}, "the caption of 0-2000-phy is empty"),
        (["text"], "must map the stem"),
    ],
)
def test_captions_by_hand_are_checked(
    raw: Path, wanted: Callable[..., Params], tmp_path: Path, captions: Any, sentence: str
) -> None:
    (tmp_path / "captions.yaml").write_text(yaml.safe_dump(captions))
    with pytest.raises(LaureateError, match=sentence):
        prepare.run(wanted(captions=str(tmp_path / "captions.yaml")), raw=raw, out=tmp_path / "dataset")


@pytest.mark.parametrize(("count", "seeds"), [(1, 4), (2, 1), (1, 1)])
def test_too_few_prompts_are_refused_before_anything_is_made(
    raw: Path, wanted: Callable[..., Params], tmp_path: Path, count: int, seeds: int
) -> None:
    rows = [{"id": f"p{i}", "text": f"Prompt {i}.", "set": "seed"} for i in range(count)]
    (tmp_path / "prompts.yaml").write_text(json.dumps(rows))
    sample = Sample(prompts=[str(tmp_path / "prompts.yaml")], seeds=list(range(seeds)))
    chosen = wanted().model_copy(update={"sample": sample})
    with pytest.raises(LaureateError, match=f"{count} prompts with {seeds} seeds each, and scores need"):
        prepare.run(chosen, raw=raw, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_prompt_that_is_cut_is_named(
    raw: Path, wanted: Callable[..., Params], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": f"p{i}", "text": "A hat and a man. " * (1 + 40 * i), "set": "seed"} for i in range(2)]
    (tmp_path / "prompts.yaml").write_text(json.dumps(rows))
    chosen = wanted().model_copy(update={"sample": Sample(prompts=[str(tmp_path / "prompts.yaml")])})
    prepare.run(chosen, raw=raw, out=tmp_path / "out")
    said = capsys.readouterr().err
    assert said.count("its end is not read") == 1
    assert "the text encoder reads 77" in said
