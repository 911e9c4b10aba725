"""README.md: its results are those of the study, and the files and commands that it names exist."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from drawn_study import draw_study, write_metrics

from laureate import cli
from laureate.comparison import results_table
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.reporting import readme_table
from laureate.stages import compare

NOT_YET = "No study has been run yet."


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def results(root: Path, selected: str) -> list[str]:
    """Of the committed metrics and of those in the working tree: a new study need not change the README."""
    found = []
    for place in ("HEAD", "here"):
        texts = [_text(root, place, path) for path in (paths.COMPARISON, paths.ADVICE)]
        if texts[0] and texts[1]:
            table, advice = results_table.from_csv(texts[0]), json.loads(texts[1])["sentences"]
            found.append(readme_table.results(table, selected, advice))
    return found


def _text(root: Path, place: str, path: Path) -> str:
    if place == "here":
        return (root / path).read_text(encoding="utf-8") if (root / path).is_file() else ""
    command = ["git", "show", f"{place}:{path}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout


def test_the_results_are_those_of_the_table(root: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    fresh = [readme_table.with_results(text, found) for found in results(root, params.load().selected)]
    assert text in (fresh or [readme_table.with_results(text, NOT_YET)]), (
        "stale: run `python -m laureate.reporting.readme_table` and commit README.md"
    )


def test_every_path_it_names_exists(root: Path, text: str) -> None:
    listing = text.partition("## What each file is")[2].partition("\n## ")[0]
    named = [line.split()[0] for line in listing.splitlines() if line.startswith("    ")]
    assert len(named) > 15
    linked = re.findall(r"\]\(([^)]+)\)", text)
    missing = [path for path in (*named, *linked) if not (root / path).exists()]
    if not (root / paths.COMPARISON).is_file():  # before the first study
        missing = [path for path in missing if not path.startswith("metrics")]
    assert not missing


def test_every_command_it_names_is_known(root: Path, text: str) -> None:
    recipes = re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE)
    for recipe in re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE):
        assert recipe in recipes
    for verb in re.findall(r"`laureate ([a-z]+)", text):
        assert verb in cli.STAGES | cli.BESIDE
    stages = re.findall(r"^\| ([a-z]+) \|", text, re.MULTILINE)
    assert [s for s in stages if s in cli.STAGES] == list(cli.STAGES)


def test_it_is_written_between_its_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(draw_study(tmp_path, prompts=1, train=1, holdout=1))
    write_metrics(tmp_path)
    compare.run(params.load())
    Path("README.md").write_text(text, encoding="utf-8")
    assert readme_table.main() == 0
    written = Path("README.md").read_text(encoding="utf-8")
    assert "| rank 16 | 98 |" in written
    assert "same 30 held-out portraits" in written
    assert written.partition(readme_table.START)[0] == text.partition(readme_table.START)[0]
    assert written.partition(readme_table.END)[2] == text.partition(readme_table.END)[2]
    assert readme_table.main() == 0
    assert Path("README.md").read_text(encoding="utf-8") == written


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(LaureateError, match="lacks the line"):
        readme_table.with_results("# laureate", "results")
    with pytest.raises(LaureateError, match="/results"):
        readme_table.with_results(readme_table.START, "results")


def test_every_command_it_shows_can_be_read(text: str) -> None:
    """Each `laureate …` line of the code blocks has a verb and options that the command line knows."""
    parser = cli._parser()
    lines = re.findall(r"^    (laureate .+?)(?:  +#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        parser.parse_args(shlex.split(line)[1:])  # exits where it cannot


def test_the_external_models_it_shows_are_valid_parameters(text: str) -> None:
    shown = re.findall(r"```yaml\n(external:.+?)```", text, re.DOTALL)
    assert len(shown) == 1
    found = params.Params.model_validate(yaml.safe_load(shown[0]))
    assert set(found.external) == {"by-hand", "gpt-image"}
