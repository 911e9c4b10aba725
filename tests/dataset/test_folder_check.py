"""The folder check: every kind of bad picture and caption is named with its remedy; a good folder passes."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from laureate import cli
from laureate.commands import doctor
from laureate.core.errors import LaureateError
from laureate.dataset import folder_check
from laureate.imaging.image_io import identify


def encoded(
    mode: str = "RGB", size: tuple[int, int] = (160, 200), form: str = "PNG", **options: Any
) -> bytes:
    """A picture of noise as a file's bytes."""
    grey = Image.effect_noise(size, 80)
    image = Image.merge("RGBA", [grey] * 4) if mode == "RGBA" else grey.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    """EXIF that says to turn the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


SAME = encoded()
BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "it is empty"),
    "page.jpg": (b"<!doctype html>", "it is a web page"),
    "cut.png": (encoded()[:-500], "it cannot be decoded"),
    "small.png": (encoded(size=(60, 90)), "60 x 90 pixels, less than 128"),
    "strip.png": (encoded(size=(900, 140)), "900 x 140 pixels: one side is more than twice"),
    "named.png": (encoded(form="JPEG"), "JPEG data in a file with the suffix .png"),
    "the same.png": (SAME, "the same bytes as same.png"),
    "print.jpg": (encoded("CMYK", form="JPEG"), "CMYK"),
    "clear.png": (encoded("RGBA"), "transparency"),
    "deep.png": (encoded("I;16"), "16 bits a channel or more (I;16)"),
    "turned.jpg": (encoded(form="JPEG", exif=turned()), "EXIF"),
    "moving.gif": (encoded(form="PNG"), "PNG data in a file with the suffix .gif"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder: two pictures and their captions."""
    for name in ("same.png", "other.png"):
        (tmp_path / name).write_bytes(SAME if name == "same.png" else encoded())
    write_rows(tmp_path, [{"file_name": name, "text": "A man."} for name in ("same.png", "other.png")])
    return tmp_path


def write_rows(folder: Path, rows: list[Any]) -> None:
    """The captions as `metadata.jsonl`."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def test_a_sound_folder_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(folder)]) == 0
    assert "2 pictures, no problem found" in capsys.readouterr().out


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_named_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "same.png").write_bytes(SAME)
    (tmp_path / name).write_bytes(BAD[name][0])
    found = list(folder_check.check_pictures(tmp_path, sorted(tmp_path.iterdir())))
    assert [finding.where for finding in found] in ([name], ["same.png", name])
    assert any(BAD[name][1] in finding.problem for finding in found)
    assert all(finding.remedy for finding in found)


def test_an_animation_is_named(tmp_path: Path) -> None:
    frames = [Image.effect_noise((160, 160), 80) for _ in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert identify((tmp_path / "moving.gif").read_bytes()).frames == 3
    (finding,) = folder_check.check_pictures(tmp_path, [tmp_path / "moving.gif"])
    assert "an animation of 3 frames" in finding.problem


def test_a_folder_of_all_that_is_bad_fails_and_names_each(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["doctor", str(folder)]) == 1
    told = capsys.readouterr()
    assert all(name in told.out for name in BAD)
    assert "problems to correct" in told.err


def test_what_prepare_puts_right_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("print.jpg", "clear.png", "deep.png", "turned.jpg"):
        (tmp_path / name).write_bytes(BAD[name][0])
    assert cli.main(["doctor", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("nothing: prepare") == 4


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("{", "not a JSON object"),
        ({"text": "A man."}, "not a JSON object with file_name and text"),
        ({"file_name": "../same.png", "text": "A man."}, "points out of the folder"),
        ({"file_name": "/etc/passwd", "text": "A man."}, "points out of the folder"),
        ({"file_name": "none.png", "text": "A man."}, "there is no picture none.png"),
        ({"file_name": "same.png", "text": " "}, "an empty caption"),
        ({"file_name": "same.png", "text": "word " * 80}, "more than 77 tokens"),
    ],
)
def test_a_bad_row_is_named(folder: Path, row: Any, what: str) -> None:
    write_rows(folder, [{"file_name": name, "text": "A man."} for name in ("same.png", "other.png")] + [row])
    found = list(folder_check.check_captions(folder, sorted(folder.glob("*.png"))))
    assert {finding.where for finding in found} == {"metadata.jsonl, line 3"}
    assert what in found[-1].problem


def test_a_picture_without_a_row_is_named(folder: Path) -> None:
    write_rows(folder, [{"file_name": "same.png", "text": "A man."}])
    (finding,) = folder_check.check_captions(folder, sorted(folder.glob("*.png")))
    assert (finding.where, finding.problem) == ("other.png", "no row in metadata.jsonl")


def test_captions_in_text_files_are_examined_too(folder: Path) -> None:
    (folder / "metadata.jsonl").unlink()
    pictures = sorted(folder.glob("*.png"))
    assert list(folder_check.check_captions(folder, pictures)) == []
    (folder / "same.txt").write_text("")
    found = {finding.where: finding.problem for finding in folder_check.check_captions(folder, pictures)}
    assert found == {"same.txt": "an empty caption", "other.txt": "other.png has no caption, others have one"}


def test_a_folder_without_pictures_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match="has no picture in it"):
        doctor.run(str(tmp_path))
    with pytest.raises(LaureateError, match="is not a folder"):
        doctor.run(str(tmp_path / "none"))
