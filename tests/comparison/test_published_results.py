"""Published results: the numbers as printed, beside this study's, and the errors of their file."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from laureate.comparison import published_results, results_table
from laureate.core.errors import LaureateError


@pytest.fixture
def values(root: Path) -> dict[str, Any]:
    published: dict[str, Any] = yaml.safe_load((root / "data/published.yaml").read_text())
    return published


def written(folder: Path, values: object) -> Path:
    path = folder / "published.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_it_is_the_whole_table_with_its_source(root: Path) -> None:
    published = published_results.load(root / "data/published.yaml")
    table = published.table.set_index("like")
    assert list(table.index) == [
        "baseline", "dall-e-3", "rank-4", "rank-8", "rank-16", "rank-32", "rank-64", "rank-128"
    ]  # fmt: skip
    assert published.n_generated == 9
    assert re.match(r"https://github\.com/.+", published.source)
    assert re.match(r"figure/table2\.png at [0-9a-f]{7}$", published.file)
    best = {key: table[key].idxmin() for key in ("fid", "lpips")}
    best |= {key: table[key].idxmax() for key in ("clip", "is")}
    printed_in_bold = {"fid": "rank-16", "lpips": "rank-16", "clip": "dall-e-3", "is": "baseline"}
    assert best == printed_in_bold


def test_it_is_printed_with_n_and_all_its_digits_beside_ours(root: Path) -> None:
    published = published_results.load(root / "data/published.yaml")
    metrics = dict.fromkeys(results_table.METRICS) | dict.fromkeys(results_table.COUNTS, 9)
    metrics |= {"seed_fid": 98.76543, "seed_clip": 31.2, "seed_is": None}
    text = published_results.to_markdown(published, results_table.from_metrics({"rank-16": metrics}))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert lines["rank 16"] == (
        "| rank 16 | 111.3617 | 98.7654 | 0.5995 | – | 0.3055 | 0.3120 | 1.21 ± 0.15 | – |"
    )
    assert lines["Stable Diffusion v2.1"].count("–") == 4  # none of ours is known for it
    assert "1.90 ± 0.36" in lines["Stable Diffusion v2.1"]
    assert "n = 9 pictures per model against the 45" in text
    assert "not reproducible" in text
    assert len({line.count("|") for line in lines.values()}) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v.pop("n_generated"), "lacks the key n_generated"),
        (lambda v: v["rows"][0].pop("fid"), "row 1: a row has model, like, fid"),
        (lambda v: v["rows"][1].update(fid="low"), "row 2: fid must be a number"),
        (lambda v: v["rows"][0].update(is_deviation="wide"), "row 1: is_deviation must be a number"),
        (lambda v: v["rows"][2].update(kid=1.0), "row 3: a row has"),
        (lambda v: v["scores"].update(kid="?"), "row 1: a row has"),
        (lambda v: v.update(rows=3), "cannot be read"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(
    values: dict[str, Any], tmp_path: Path, change: Any, sentence: str
) -> None:
    change(values)
    with pytest.raises(LaureateError, match=sentence):
        published_results.load(written(tmp_path, values))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(LaureateError, match=r"no file nowhere\.yaml; see compare\.published"):
        published_results.load("nowhere.yaml")


def test_a_file_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match="cannot be read"):
        published_results.load(written(tmp_path, ["a"]))
