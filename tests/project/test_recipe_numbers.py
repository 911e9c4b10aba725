"""docs/recipe.md: the numbers that `laureate plan` can print are those that it prints."""

from pathlib import Path

import pytest
import yaml

from benchmarks import recipe
from laureate.core.errors import LaureateError


@pytest.mark.slow
def test_the_page_has_what_the_plan_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    page = (root / "docs/recipe.md").read_text(encoding="utf-8")
    assert recipe.with_table(page, recipe.table(root)) == page, "stale: run `python -m benchmarks recipe`"


def test_no_other_place_gives_memory_of_the_recipes(root: Path) -> None:
    """Three places once gave three figures: there is one table now, and the others point to it."""
    for place in ("worlds/nobel.yaml", "worlds/original.yaml"):
        assert " GB" not in (root / place).read_text(encoding="utf-8"), place
    outside = recipe.MARKS.sub("", (root / "docs/recipe.md").read_text(encoding="utf-8"))
    assert " GB" not in outside
    assert "GiB" not in outside


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(LaureateError, match="no part between"):
        recipe.with_table("# The recipe", "| a |")


def test_what_is_said_of_the_original_is_what_its_world_does(root: Path) -> None:
    """Weight decay and gradient norm were once called unknown."""
    page = (root / "docs/recipe.md").read_text(encoding="utf-8")
    part = page.partition("## The original's")[2].partition("\n## ")[0]
    train = yaml.safe_load((root / "worlds/original.yaml").read_text(encoding="utf-8"))["train"]
    everyday = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["train"]
    assert train["weight_decay"] == 1e-2
    assert {**everyday, **train}["max_grad_norm"] == 1.0
    for said in ("weight decay 1e-2", "norm 1.0", "Gaussian", "generator to 42", "three splits", "299 px"):
        assert said in part, said
