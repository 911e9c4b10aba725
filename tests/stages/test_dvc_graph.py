"""dvc.yaml against the code: a stage is run again when code that it uses changes."""

import ast
from pathlib import Path

import pytest
import yaml

from laureate.config.params import Params

# What changes no result: how a stage is called, how its parameters are typed, how files are written
PLUMBING = ("laureate.core", "laureate.config", "laureate.cli", "laureate.startup")
ROOT = Path(__file__).resolve().parents[2]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in DVC["stages"].items()}
CODE = [
    (name, dep)
    for name, stage in STAGES.items()
    for dep in stage["deps"]
    if dep.startswith(("src/", "crawler"))
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_modules_it_uses(stage: str) -> None:
    assert _uncovered(stage, STAGES[stage]["deps"]) == set()


@pytest.mark.parametrize(("stage", "dep"), CODE)
def test_no_code_dependency_can_be_left_out(stage: str, dep: str) -> None:
    """Every entry is needed: without it, a module that the stage uses could change and the result stay."""
    others = [other for other in STAGES[stage]["deps"] if other != dep]
    assert _uncovered(stage, others), f"{dep} may go: nothing that {stage} uses is in it alone"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_at_most_six_places_of_code(stage: str) -> None:
    assert len([dep for name, dep in CODE if name == stage]) <= 6


def test_every_dependency_in_git_exists() -> None:
    """A dependency that was renamed would stop `dvc repro`; one on code must be a file or folder here."""
    named = {dep for stage in STAGES.values() for dep in stage["deps"] if dep.startswith(("src/", "crawler"))}
    assert {dep for dep in named if not (ROOT / dep).exists()} == set()


def test_every_stage_has_a_section_of_parameters_and_a_description() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in STAGES.items():
        verb = stage["cmd"].split()[1]
        section = "selected" if verb == "select" else verb  # one value is no section
        assert section in sections, name
        assert section in stage["params"], name
        assert stage["desc"], name


def test_only_one_cheap_stage_depends_on_the_selected_row() -> None:
    assert [name for name, stage in STAGES.items() if "selected" in stage["params"]] == ["select"]


def test_the_report_depends_on_every_parameter_but_the_selected_row_and_the_machines() -> None:
    """The page shows them."""
    assert set(STAGES["report"]["params"]) == set(Params.model_fields) - {"selected", "threads"}


def test_the_metrics_of_an_experiment_are_those_of_one_small_file() -> None:
    declared = [name for stage in STAGES.values() for metric in stage.get("metrics", []) for name in metric]
    assert declared == ["metrics/selected.json"]
    assert "metrics" not in DVC


def _uncovered(stage: str, deps: list[str]) -> set[str]:
    """Files of modules that a stage uses and that no dependency holds."""
    verb = STAGES[stage]["cmd"].split()[1]
    files = {_file(module).relative_to(ROOT) for module in _modules_used(f"laureate.stages.{verb}")}
    held = [Path(dep) for dep in deps]
    return {
        file.as_posix()
        for file in files
        if file.name != "__init__.py" and not any(file.is_relative_to(dep) for dep in held)
    }


def _file(module: str) -> Path:
    """The file of a module of this project."""
    path = ROOT / ("" if module.startswith("crawler") else "src") / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _modules_used(module: str) -> set[str]:
    """The modules of this project that a module imports, anywhere in its code, and those they import."""
    found: set[str] = set()
    todo = {module}
    while todo:
        name = todo.pop()
        if name in found or name.startswith(PLUMBING) or name == "laureate" or not _file(name).exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse(_file(name).read_text())):
            if isinstance(node, ast.Import):
                todo |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                todo |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        todo = {name for name in todo if name.split(".")[0] in ("laureate", "crawler")}
    return found
