"""The manifest of a model's samples: written and read by one module, every row checked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laureate.core.errors import LaureateError
from laureate.formats import samples


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of the model rank-4, with two pictures."""
    monkeypatch.chdir(tmp_path)
    written = samples.Samples(
        "rank-4",
        base="b" * 64,
        base_source="folder base",
        adapter="a" * 64,
        settings={"steps": 12},
        pictures=[
            {"file": f"man_{seed}.png", "prompt": "man", "text": "A man.", "seed": seed} for seed in (1, 2)
        ],
    )
    path = samples.path_of("rank-4")
    samples.write(path.parent, written)
    for row in written.pictures:
        (path.parent / row["file"]).touch()
    assert samples.read("rank-4") == written
    return path


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m["pictures"][1].pop("file"), "picture 2: it needs file, a text"),
        (lambda m: m["pictures"][1].update(text=3), "picture 2: it needs text, a text"),
        (lambda m: m["pictures"][1].update(seed="2"), "picture 2: it needs seed, a whole number"),
        (lambda m: m["pictures"][1].update(seed=True), "picture 2: it needs seed, a whole number"),
        (lambda m: m["pictures"][1].update(seed=1), r"picture 2: \('man', 1\) is there twice"),
        (lambda m: m["pictures"][1].update(file="man_1.png"), r"picture 2: 'man_1\.png' is there twice"),
        (lambda m: m["pictures"][1].update(file="lost.png"), r"picture 2: there is no file 'lost\.png'"),
        (lambda m: m["pictures"][1].update(file="../../../x"), r"picture 2: there is no file '\.\./"),
        (lambda m: m["pictures"].append([]), "picture 3: it needs file"),
        (lambda m: m.pop("base"), "does not say which base"),
        (lambda m: m.pop("pictures"), "must hold an object with a list 'pictures'"),
    ],
)
def test_a_bad_row_is_named(manifest: Path, change: Callable[[Any], object], sentence: str) -> None:
    edit(manifest, change)
    with pytest.raises(LaureateError, match=rf"data/samples/rank-4/manifest\.json.*{sentence}"):
        samples.read("rank-4")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "does not exist; run `laureate sample --model rank-4` first"), ("{", "cannot be read as JSON")],
)
def test_a_manifest_that_cannot_be_read_is_named(manifest: Path, text: str | None, sentence: str) -> None:
    manifest.unlink() if text is None else manifest.write_text(text)
    with pytest.raises(LaureateError, match=sentence):
        samples.read("rank-4")


def test_an_empty_list_is_no_error_here(manifest: Path) -> None:
    edit(manifest, lambda m: m["pictures"].clear())
    assert samples.read("rank-4").pictures == []
