"""The comparison table: its CSV, its Markdown, and the metrics that it is made from."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog

numbers = st.none() | st.floats(allow_nan=False)


def metrics(**values: float | None) -> dict[str, results_table.Value]:
    """Metrics of one model; the value of every score is 1 but for `values`, and its interval ± 0.1."""
    found: dict[str, results_table.Value] = {"n_generated": 98, "n_prompts": 49, "n_reference": 30}
    found |= dict.fromkeys(results_table.ORIGINAL)
    for score in score_catalog.SCORES:
        value = values.get(score.key, 1.0)
        for end, step in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
            found[score.key + end] = None if value is None else value + step
    return found


def test_the_bytes_of_a_table() -> None:
    """Pinned as they were written before pandas wrote them."""
    few = dict.fromkeys(results_table.METRICS) | {"n_generated": 9, "n_prompts": 9, "n_reference": 30}
    some = few | {"kid": -0.00235015, "kid_low": 1.0, "kid_high": 1e-05, "seed_n": 0, "seed_fid": 1e22}
    table = results_table.from_metrics({"rank-4": some, "dall-e, 3": few})
    table = results_table.with_marks(table, {("is", "rank-4"): results_table.BEST})
    header, *lines = results_table.to_csv(table).split("\n")
    assert header == ",".join(results_table.COLUMNS)
    scores, marks = len(score_catalog.SCORES), len(results_table.MARKS)
    before = [score.key for score in score_catalog.SCORES].index("kid")  # columns of scores before it
    assert lines == [
        "rank-4,4,9,9,30"
        + "," * 3 * before
        + ",-0.00235015,1.0,1e-05"
        + "," * 3 * (scores - before - 1)
        + ",0,1e+22"
        + "," * (3 + marks)
        + "best",
        '"dall-e, 3",,9,9,30' + "," * (3 * scores + 5 + marks),
        "",
    ]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.lists(numbers, min_size=len(results_table.METRICS), max_size=len(results_table.METRICS)),
            st.sampled_from(["best", "tied", None]),
        ),
        max_size=4,
    )
)
def test_a_table_reads_back_as_it_was_written(values: list[tuple[list[float | None], str | None]]) -> None:
    models, marks = {}, {}
    for number, (line, mark) in enumerate(values):
        counts = {key: number for key in results_table.METRICS if key in results_table.WHOLE}
        models[f"rank-{2**number}"] = dict(zip(results_table.METRICS, line, strict=True)) | counts
        marks |= {("kid", f"rank-{2**number}"): mark} if mark else {}
    table = results_table.with_marks(results_table.from_metrics(models), marks)
    text = results_table.to_csv(table)
    read = results_table.from_csv(text)
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    assert results_table.to_csv(read) == text


def test_marks_are_put_on_a_copy() -> None:
    table = results_table.from_metrics({"rank-4": metrics()})
    marked = results_table.with_marks(table, {("kid", "rank-4"): results_table.BEST})
    kid = next(score for score in score_catalog.SCORES if score.key == "kid")
    assert results_table.best_or_tied(marked, kid) == ["rank-4"]
    assert results_table.best_or_tied(table, kid) == []


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(LaureateError, match="other columns"):
        results_table.from_csv("model,fid\nbaseline,1\n")


def test_a_table_with_a_model_twice_or_without_a_name_is_refused() -> None:
    head, line, _ = results_table.to_csv(results_table.from_metrics({"rank-4": metrics()})).split("\n")
    for text in (f"{head}\n{line}\n{line}\n", f"{head}\n{line.removeprefix('rank-4')}\n"):
        with pytest.raises(LaureateError, match=r"comparison\.csv must name each model once"):
            results_table.from_csv(text)


@pytest.mark.parametrize(
    ("key", "value"), [("kid", "low"), ("n_generated", 1.5), ("n_reference", None), ("is_low", True)]
)
def test_a_metric_that_is_no_number_is_named_with_its_file(key: str, value: results_table.Value) -> None:
    with pytest.raises(LaureateError, match=rf"rank-4\.json has no number in {key}; run `laureate evaluate"):
        results_table.from_metrics({"rank-4": metrics() | {key: value}})


def test_a_row_as_json_values() -> None:
    table = results_table.from_metrics({"noise-floor": metrics(content=None)})
    values = results_table.metrics_of(table, "noise-floor")
    assert values["model"] == "noise-floor"
    assert (values["kid"], values["n_generated"]) == (1.0, 98)
    assert {type(value) for value in values.values()} == {str, int, float}
    assert not {"content", "content_low", "rank", "seed_fid", *results_table.MARKS} & set(values)


def test_one_row_is_read_without_pandas(tmp_path: Path) -> None:
    models = {"noise-floor": metrics(content=None), "a, b": metrics(kid=-1e-05) | {"seed_n": 0}}
    table = results_table.from_metrics(models)
    path = tmp_path / "comparison.csv"
    path.write_text(results_table.to_csv(table))
    for model in models:
        assert results_table.read_row(path, model) == results_table.metrics_of(table, model)
    code = (
        "import sys; from laureate.comparison import results_table\n"
        f"row = results_table.read_row({str(path)!r}, 'a, b')\n"
        "print(results_table.decimals(row['kid'], row['kid_low'], row['kid_high']))\n"
        "sys.exit(bool({'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n")
    with pytest.raises(LaureateError, match=r"comparison\.csv has no row rank-8; run `laureate compare`"):
        results_table.read_row(path, "rank-8")
    for text in (
        "model,kid\nrank-8,1\n",
        path.read_text().replace("a, b", "rank-8").replace("-1e-05", "low"),
    ):
        path.write_text(text)
        with pytest.raises(LaureateError, match=r"comparison\.csv is of another version"):
            results_table.read_row(path, "rank-8")


def test_markdown_shows_value_interval_n_and_direction() -> None:
    models = {
        "baseline": metrics(kid=2.0, content=None, dino=None),
        "rank-4": metrics(kid=-0.05, content=0.5, dino=None),
    }
    marks = {("kid", "rank-4"): results_table.BEST, ("clip", "baseline"): results_table.TIED}
    text = results_table.to_markdown(results_table.with_marks(results_table.from_metrics(models), marks))
    lines = text.splitlines()
    assert "KID ↓" in lines[0]
    assert "CLIP ↑" in lines[0]
    assert "DINO" not in lines[0]  # no model has a value
    assert "Recall" not in lines[0]  # it is in comparison.csv
    assert lines[2].startswith("| baseline | 98 | ")
    assert " – |" in lines[2]
    assert "≈ 1.00 <sub>0.90–1.10</sub>" in lines[2]
    assert "**−0.05** <sub>−0.15 – 0.05</sub>" in lines[3]
    assert "| 50 % <sub>40–60</sub>" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("model", "rank", "title"),
    [
        ("baseline", 0, "Baseline"),
        ("rank-128", 128, "Rank 128"),
        ("noise-floor", None, "Noise floor"),
        ("dall-e-3", None, "dall-e-3"),
    ],
)
def test_names(model: str, rank: int | None, title: str) -> None:
    assert results_table.rank_of(model) == rank
    assert results_table.title(model) == title


def test_pandas_is_imported_only_where_a_table_is_made() -> None:
    code = (
        "import sys, laureate.stages.compare, laureate.stages.report, laureate.reporting.readme_table\n"
        "from laureate.comparison import paired_tests, published_results, rank_recommendation\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
