"""Select: few and rounded scores of one row, in the second that the stage may take."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_study import draw_study, write_metrics

from laureate.comparison import results_table
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.paths import COMPARISON, SELECTED
from laureate.stages import compare, select


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Params:
    """A small study up to its table, as the working folder."""
    monkeypatch.chdir(draw_study(tmp_path, prompts=1, train=1, holdout=1))
    write_metrics(tmp_path)
    loaded = params.load()
    compare.run(loaded)
    return loaded


@pytest.mark.parametrize("model", ["noise-floor", "baseline", "rank-4", "rank-16"])
def test_the_metrics_are_the_scores_of_the_row_as_the_table_shows_them(
    study: params.Params, model: str
) -> None:
    select.run(study.model_copy(update={"selected": model}))
    found = json.loads(SELECTED.read_text())
    assert found.pop("model") == model
    row = results_table.metrics_of(results_table.read_csv(COMPARISON), model)
    assert set(found) == {key for key in select.KEYS if key in row}
    assert len(found) >= 3
    for key, value in found.items():
        width = float(row[f"{key}_high"]) - float(row[f"{key}_low"])
        assert abs(value - float(row[key])) <= 0.05 * width
        assert len(str(value).partition(".")[2]) <= 5


def test_a_score_without_a_value_is_left_out() -> None:
    row = {"model": "baseline", "fid": 18.3412, "fid_low": 15.0, "fid_high": 21.0}
    assert select.short(row) == {"model": "baseline", "fid": 18.3}


def test_a_row_that_the_table_lacks_is_named(study: params.Params) -> None:
    with pytest.raises(LaureateError, match="no row rank-8; run `laureate compare`"):
        select.run(study.model_copy(update={"selected": "rank-8"}))
    COMPARISON.unlink()
    with pytest.raises(LaureateError, match=r"comparison\.csv does not exist"):
        select.run(study)


def test_the_command_imports_no_library_that_takes_long(study: params.Params) -> None:
    code = "import sys; from laureate.cli import main; main(['select']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert SELECTED.is_file()
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "numpy", "scipy", "pandas", "PIL", "diffusers", "transformers"}
