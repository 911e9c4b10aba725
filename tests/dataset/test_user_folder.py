"""A user's image folder in place of a crawl: captions in any place, near-duplicates, BLIP."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from laureate import cli
from laureate.config.params import Params, Prepare, Sample
from laureate.core.errors import LaureateError
from laureate.dataset import blip_captioner, filters, folder_check, user_folder
from laureate.formats import imagefolder
from laureate.imaging.near_duplicates import distance, near_duplicates, perceptual_hash
from laureate.stages import prepare


def picture(seed: int, size: tuple[int, int] = (160, 240)) -> Image.Image:
    """Soft blots, different for every seed: as unlike as portraits are."""
    noise = np.random.default_rng(seed).integers(0, 255, (36, 24, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def again(image: Image.Image, quality: int = 60, scale: float = 0.5) -> Image.Image:
    """The picture at another size, saved as JPEG."""
    size = (round(image.width * scale), round(image.height * scale))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 95), st.floats(0.5, 2.0))
def test_a_picture_saved_again_is_a_near_duplicate(seed: int, quality: int, scale: float) -> None:
    hashes = [
        perceptual_hash(p) for p in (picture(seed), again(picture(seed), quality, scale), picture(seed + 1))
    ]
    assert distance(hashes[0], hashes[1]) <= 0.1 < 0.25 < distance(hashes[0], hashes[2])


@settings(max_examples=50)
@given(st.lists(st.integers(0, 15), max_size=8), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_what_is_no_near_duplicate_has_no_neighbour(seeds: list[int], near: float) -> None:
    hashes = {
        f"{n}": np.random.default_rng(seed).integers(0, 2, 256).astype(bool) for n, seed in enumerate(seeds)
    }
    doubles = dict(near_duplicates(hashes, near))
    kept = [name for name in hashes if name not in doubles]
    assert all(distance(hashes[a], hashes[b]) > near for a in kept for b in kept if a != b)
    assert all(
        original in kept and distance(hashes[name], hashes[original]) <= near
        for name, original in doubles.items()
    )


# --- a study of a folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, two of them one folder down, without captions."""
    for number in range(12):
        home = tmp_path / "mine" / ("more" if number >= 10 else "")
        home.mkdir(parents=True, exist_ok=True)
        picture(number).save(home / f"Ø {number}.png")
    return tmp_path / "mine"


@pytest.fixture(scope="module")
def wanted(tiny_models: Path, root: Path) -> Callable[..., Params]:
    """Parameters with the random CLIP; keywords change the section `prepare`."""
    given: dict[str, Any] = {
        **{
            "resolution": 16,
            "holdout": 0.4,
            "min_train": 1,
            "min_holdout": 1,
            "clip": str(tiny_models / "clip"),
        },
        **{"vocabulary": str(root / "data/vocabulary.yaml"), "captions": str(root / "data/captions.yaml")},
    }
    prompts = Sample(prompts=[str(root / "data/prompts.yaml")])
    return lambda **changed: Params(prepare=Prepare(**(given | changed)), sample=prompts)


def prepared(params: Params, out: Path) -> dict[str, dict[str, Any]]:
    """Run the stage; gives the rows of both sides by file name."""
    prepare.run(params, out=out)
    rows: list[dict[str, Any]] = []
    for side in imagefolder.PARTS:
        lines = (out / side / "metadata.jsonl").read_text("utf-8").splitlines()
        rows += [json.loads(line) | {"side": side} for line in lines]
    return {row["file_name"]: row for row in rows}


def test_a_folder_without_captions_is_captioned(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    rows = prepared(wanted(source=str(folder)), tmp_path / "dataset")
    assert set(rows) == {f"Ø {n}.png" for n in range(10)} | {"more-Ø 10.png", "more-Ø 11.png"}
    assert {row["side"] for row in rows.values()} == {"train", "holdout"}
    assert all(row["text"].endswith(", in the style of Nobel Laureate.") for row in rows.values())


def test_captions_beside_the_pictures_are_used(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    for path in user_folder.pictures_in(folder):
        path.with_suffix(".txt").write_text(f"Somebody, {path.stem}.", "utf-8")
    rows = prepared(wanted(source=str(folder)), tmp_path / "dataset")
    assert rows["more-Ø 10.png"]["text"] == "Somebody, Ø 10."


def test_a_table_of_captions_is_used_and_what_it_says_of_a_picture_stays(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    files = [path.relative_to(folder).as_posix() for path in user_folder.pictures_in(folder)]
    rows = [
        {"file_name": f, "text": f"About {f}.", "id": f"{i // 2}", "credit": "N. N."}
        for i, f in enumerate(files)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = prepared(wanted(source=str(folder)), tmp_path / "dataset")
    assert found["Ø 3.png"]["text"] == "About Ø 3.png."
    assert found["Ø 3.png"]["credit"] == "N. N."
    sides = {(row["id"], row["side"]) for row in found.values()}
    assert len(sides) == len({person for person, _ in sides}) == 6


def test_a_resized_duplicate_is_left_out_of_a_crawl_and_named_by_the_doctor(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    again(picture(3), scale=0.9).save(folder / "Ø 3b.jpg")
    (finding,) = folder_check.check(folder)
    assert finding.where == "Ø 3b.jpg"
    assert "nearly the same picture as Ø 3.png" in finding.problem
    assert "prepare.near" in finding.remedy
    with pytest.raises(
        LaureateError, match=r"Ø 3b\.jpg: nearly the same picture as Ø 3\.png.*laureate doctor"
    ):
        prepare.run(wanted(source=str(folder)), out=tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
    assert len(prepared(wanted(source=str(folder), near=0.0), tmp_path / "dataset")) == 13
    rows = [{"file": name} for name in ("a", "b", "c")]
    hashes = {
        "a": perceptual_hash(picture(1)),
        "b": perceptual_hash(picture(2)),
        "c": perceptual_hash(again(picture(1))),
    }
    good, left_out = filters.without_near_duplicates(rows, hashes, 0.1)
    assert [row["file"] for row in good] == ["a", "b"]
    assert left_out[0]["file"] == "c"
    assert "nearly the same picture as a" in left_out[0]["reason"]


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("zz.png", b"", "it is empty"),
        ("Ø 3.txt", b"  ", "an empty caption"),
        ("Ø 3.txt", b"\xff\xff", "not UTF-8"),
        ("metadata.jsonl", b"{\n", "not a JSON object"),
        ("metadata.jsonl", b'{"file_name": "../../x.png", "text": "A."}\n', "points out of the folder"),
        ("ø 3.webp", None, "has the name of Ø 3.png"),
    ],
)
def test_what_the_doctor_finds_stops_the_run(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path, name: str, data: bytes | None, what: str
) -> None:
    if data is None:
        picture(99).save(folder / name)
    else:
        for path in user_folder.pictures_in(folder) if name.endswith(".txt") else ():
            path.with_suffix(".txt").write_text("A man.")
        (folder / name).write_bytes(data)
    with pytest.raises(LaureateError, match=f"{what}.*run `laureate doctor"):
        prepare.run(wanted(source=str(folder)), out=tmp_path / "dataset")


def test_the_folder_stays_as_it_was_and_twice_gives_the_same_bytes(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in user_folder.pictures_in(folder)}
    for name in ("one", "two"):
        prepare.run(wanted(source=str(folder)), out=tmp_path / name)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert {path: path.read_bytes() for path in user_folder.pictures_in(folder)} == before


def test_the_doctor_counts_tokens_as_clip_does(folder: Path, embedded: Path) -> None:
    (folder / "Ø 3.txt").write_text("Unpronounceably-hyphenated " * 40)
    for path in user_folder.pictures_in(folder):
        path.with_suffix(".txt").write_text("A man.") if path.stem != "Ø 3" else None
    (finding,) = folder_check.check(folder, count=folder_check.token_counter(embedded / "clip"))
    assert (finding.where, "more than 77 tokens" in finding.problem) == ("Ø 3.txt", True)


def test_a_caption_without_its_picture_is_named(folder: Path) -> None:
    for path in user_folder.pictures_in(folder):
        path.with_suffix(".txt").write_text("A man.")
    (folder / "gone.txt").write_text("A man.")
    (finding,) = folder_check.check(folder)
    assert (finding.where, finding.problem) == ("gone.txt", "a caption without a picture")


# --- BLIP


@pytest.fixture(scope="module")
def tiny_blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP with few and random weights, as transformers saves one."""
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "man", "woman", "with", "glasses"]
    (folder / "words.txt").write_text("\n".join(words))
    tokenizer = BertTokenizer(str(folder / "words.txt"))
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config=small
        | ids
        | {"vocab_size": len(words), "encoder_hidden_size": 16, "max_position_embeddings": 64},
        vision_config=small | {"image_size": 16, "patch_size": 8},
        projection_dim=16,
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size={"height": 16, "width": 16}), tokenizer).save_pretrained(folder)
    return folder


def test_blip_writes_the_captions_where_it_is_asked_to(
    folder: Path, wanted: Callable[..., Params], tiny_blip: Path, tmp_path: Path
) -> None:
    params = wanted(source=str(folder), captioner="blip", blip=str(tiny_blip))
    rows = prepared(params, tmp_path / "dataset")
    assert len(rows) == 12
    assert all(row["text"].endswith(", in the style of Nobel Laureate.") for row in rows.values())
    assert prepared(params, tmp_path / "again") == rows


def test_blip_that_is_not_there_is_a_sentence(
    folder: Path, wanted: Callable[..., Params], tmp_path: Path
) -> None:
    with pytest.raises(LaureateError, match=r"nowhere/config\.json is missing: prepare\.blip must name"):
        prepare.run(wanted(source=str(folder), captioner="blip", blip="nowhere"), out=tmp_path / "dataset")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(LaureateError, match="is not a BLIP captioner that transformers can load"):
        blip_captioner.BlipCaptioner.load(tmp_path)


@given(st.text(max_size=40))
def test_words_become_a_sentence_in_the_style(words: str) -> None:
    said = blip_captioner.sentence(words, "in the style")
    assert said.endswith(", in the style.")
    assert "\n" not in said
    assert blip_captioner.sentence("a man with  glasses .", "") == "A man with glasses."


def test_the_command_takes_the_limits_of_the_parameters(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again(picture(3), quality=20, scale=0.9).save(folder / "zz.png")
    assert cli.main(["doctor", str(folder)]) == 1
    (tmp_path / "prompts.yaml").touch()
    (tmp_path / "params.yaml").write_text("prepare: {near: 0.0}\nsample: {prompts: [prompts.yaml]}\n")
    assert cli.main(["doctor", str(folder)]) == 0
    assert "13 pictures, no problem found" in capsys.readouterr().out
