"""Pictures of public trouble reports: first frames, depths, profiles, texts, suffixes, blank ones."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from user_pictures import ODD, SIZE, Rows, deep, encoded, picture, problems

from laureate.core.errors import LaureateError
from laureate.dataset import folder_check


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_used_as_its_sound_twin_would_be(
    folder: Path, prepared: Callable[..., Rows], tmp_path: Path, name: str
) -> None:
    data, said = ODD[name]
    (folder / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        findings = [f for f in folder_check.check(folder, near=0.02) if f.where == name]
        assert not [finding for finding in findings if finding.serious]
        assert any(said in finding.problem for finding in findings) or not said
        stem = f"{Path(name).stem}.png"
        assert stem in prepared()
    (made,) = (tmp_path / "dataset").rglob(stem)
    with Image.open(made) as image:
        got = np.asarray(image.convert("L"), float)
    twin = picture(50).crop((0, 0, 160, 160)).resize((16, 16), Image.Resampling.LANCZOS).convert("L")
    assert np.abs(got - np.asarray(twin, float)).mean() < 12


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (deep(np.nan, np.float32), "not numbers (NaN"),
        (encoded(Image.fromarray(np.full((9, 9), -7, np.int32)), "TIFF", tiffinfo={339: 2}), "start at 0"),
        (deep(1e6, np.float32), "more than 65535"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<html>", "a web page"),
    ],
    ids=["nan", "negative", "huge", "lfs", "page"],
)  # fmt: skip
def test_what_is_no_picture_stops_prepare_with_its_reason(
    folder: Path, prepared: Callable[..., Rows], data: bytes, said: str
) -> None:
    (folder / "odd.tif").write_bytes(data)
    (finding,) = problems(folder)
    assert finding.where == "odd.tif"
    assert said in finding.problem
    with pytest.raises(LaureateError, match=r"odd\.tif.*laureate doctor"):
        prepared()


@pytest.mark.parametrize("name", ["a.jfif", "b.jpe", "C.JPEG", "d.pjpeg", "e.JPG", "nosuffix", "f.mpo"])
def test_jfif(folder: Path, prepared: Callable[..., Rows], name: str) -> None:
    (folder / name).write_bytes(encoded(picture(50), "JPEG"))
    assert problems(folder) == []
    assert f"{Path(name).stem}.png" in prepared()


@pytest.mark.parametrize("name", ["a.psd", "raw.cr2", "p.jpg.bak", "cat.svg"])
def test_a_picture_that_is_not_read_is_named(folder: Path, name: str) -> None:
    data = encoded(picture(50), "JPEG") if name.endswith("bak") else b"8BPS"
    (folder / name).write_bytes(data)
    assert [(f.where, f.serious) for f in folder_check.check(folder)] == [(name, False)]


@pytest.mark.parametrize("image", [Image.new("RGB", SIZE, "white"), Image.new("L", SIZE), None])
def test_blank_one(folder: Path, prepared: Callable[..., Rows], image: Image.Image | None) -> None:
    if image is None:  # not blank as a whole, but in the square that is used
        image = Image.new("RGB", SIZE, "white")
        image.paste(picture(50).crop((0, 0, 160, 80)), (0, 160))
    image.save(folder / "white.png")
    (finding,) = problems(folder)
    assert (finding.where, "it is blank" in finding.problem) == ("white.png", True)
    with pytest.raises(LaureateError, match=r"white\.png: it is blank"):
        prepared()
