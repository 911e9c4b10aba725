"""`laureate votes` from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn_study import write_metrics
from vote_files import as_csv

from benchmarks.votes import simulated
from laureate import cli
from laureate.comparison import results_table
from laureate.core.files import write_text

Capture = pytest.CaptureFixture[str]
NAMES = {"m0": "baseline", "m1": "rank-4", "m2": "rank-16"}


def votes_of(folder: Path, raters: int = 3) -> list[str]:
    """Files of simulated raters who like rank 16 best and the baseline least, one a rater."""
    votes = simulated([-2.0, 0.0, 2.0], raters, 6, np.random.default_rng(0))
    files = []
    for rater in range(raters):
        text = as_csv([vote for vote in votes if vote.rater == f"r{rater}"])
        for short, name in NAMES.items():
            text = text.replace(f",{short},", f",{name},").replace(f",{short},", f",{name},")
        write_text(folder / f"r{rater}.csv", text)
        files.append(f"r{rater}.csv")
    return files


def test_strengths_agreement_and_correlations_are_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_metrics(tmp_path)
    names = ["noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16"]
    table = results_table.read_metrics("metrics/models", names)
    write_text("metrics/comparison.csv", results_table.to_csv(table))
    assert cli.main(["votes", *votes_of(tmp_path), "--json", "found.json"]) == 0
    text = capsys.readouterr().out
    assert "54 votes by 3 raters on 3 models." in text
    assert "People prefer rank 16" in text
    rows = [line for line in text.splitlines() if line.startswith(("| Rank", "| Base"))]
    assert [row.split("|")[1].strip() for row in rows] == ["Rank 16", "Rank 4", "Baseline"]
    assert "Krippendorff's α" in text
    assert "resamples of votes and of the study's prompts and portraits" in text
    assert "| KID, ImageNet | +1.00 |" in text
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["model"] for one in found["strengths"]] == ["rank-16", "rank-4", "baseline"]
    assert found["strengths"][0]["low"] <= found["strengths"][0]["value"] <= found["strengths"][0]["high"]
    assert {one["score"] for one in found["correlations"]} >= {"kid", "kid_imagenet", "clip"}
    assert found["agreement"]["raters"] == 3
    # the same files give the same words; without the evidence the scores count as exact
    for path in (tmp_path / "data/evidence").iterdir():
        path.unlink()
    assert cli.main(["votes", "r0.csv", "r1.csv", "r2.csv"]) == 0
    again = capsys.readouterr().out
    assert "resamples of votes; scores count as exact" in again
    assert again.split("Kendall")[0] == text.split("Kendall")[0]


def test_outside_of_a_study_it_needs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (file,) = votes_of(tmp_path, raters=1)
    assert cli.main(["votes", file]) == 0
    text = capsys.readouterr().out
    assert "No score is compared with people: metrics/comparison.csv is not in this folder." in text
    assert "No agreement between raters can be computed: one rater." in text
    assert "With one rater the intervals say nothing of other people's taste." in text
    assert cli.main(["votes", file, "--table", "gone.csv"]) == 1
    assert capsys.readouterr().err == (
        "laureate: gone.csv does not exist; give the metrics/comparison.csv of the study\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "has other columns than study, rater, prompt, seed, left, right, choice, seconds"),
        ("", "has other columns than study, rater"),
    ],
)
def test_a_bad_file_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text(text)
    assert cli.main(["votes", "votes.csv"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("laureate: votes.csv ")
    assert sentence in said
    assert said.count("\n") == 1
    assert not Path("found.json").exists()
