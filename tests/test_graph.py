"""dvc.yaml against the code: a stage is run again when code that it uses changes."""

import ast
from pathlib import Path

import pytest
import yaml

# What has no say in a stage's result: where it runs, how it is called, typed, written down and reported
PLUMBING = {"laureate"} | {
    f"laureate.{name}" for name in ("cli", "device", "errors", "files", "params", "places", "progress")
}
ROOT = Path(__file__).parent.parent
STAGES = {n: s.get("do", s) for n, s in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_modules_it_uses(stage: str) -> None:
    verb = STAGES[stage]["cmd"].split()[1]
    used = _modules_used(f"laureate.stages.{verb}") - PLUMBING
    deps = [Path(dep) for dep in STAGES[stage]["deps"]]
    missing = {
        path.as_posix()
        for path in (_file(module).relative_to(ROOT) for module in used)
        if path.name != "__init__.py" and not any(path.is_relative_to(dep) for dep in deps)
    }
    assert missing == set()


def test_every_dependency_in_git_exists() -> None:
    """A dependency that was renamed would stop `dvc repro`; one on code must be a file or folder here."""
    named = {dep for stage in STAGES.values() for dep in stage["deps"] if dep.startswith(("src/", "crawler"))}
    assert {dep for dep in named if not (ROOT / dep).exists()} == set()


def test_every_stage_has_a_section_of_parameters_and_a_description() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in STAGES.items():
        verb = stage["cmd"].split()[1]
        assert verb in sections, name
        assert verb in stage["params"] or {"params.yaml": None} in stage["params"], name
        assert stage["desc"], name


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
        if name in found or name in PLUMBING or not _file(name).exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse(_file(name).read_text())):
            if isinstance(node, ast.Import):
                todo |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                todo |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        todo = {name for name in todo if name.split(".")[0] in ("laureate", "crawler")}
    return found
