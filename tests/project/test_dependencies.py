"""pyproject.toml: what is imported is declared, what is declared is imported, and every version is pinned."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = {"laureate", "crawler", "benchmarks"}


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def names(lines: list[str | dict[str, str]]) -> set[str]:
    """The packages of a list of requirements, their names in one form."""
    return {canonicalize_name(Requirement(line).name) for line in lines if isinstance(line, str)}


def modules(text: str) -> set[str]:
    """The top-level modules that Python code imports anywhere, also late or for types only."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - OURS


def imported(root: Path, *folders: str) -> dict[str, list[str]]:
    """Package => the files of these folders that import a module of it."""
    found = defaultdict(list)
    packages = packages_distributions()
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            for module in modules(file.read_text(encoding="utf-8")):
                assert module in packages, f"{file} imports {module}, which no installed package has"
                for package in packages[module]:
                    found[canonicalize_name(package)].append(file.relative_to(root).as_posix())
    return found


def test_every_imported_package_is_declared(root: Path, project: dict[str, Any]) -> None:
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    declared = names(project["project"]["dependencies"]) | names(extras)
    product = imported(root, "src", "crawler")
    assert {package: files for package, files in product.items() if package not in declared} == {}
    declared |= {name for lines in project["dependency-groups"].values() for name in names(lines)}
    benchmarks = imported(root, "benchmarks")
    assert {package: files for package, files in benchmarks.items() if package not in declared} == {}


def test_every_declared_package_is_imported_or_has_a_reason(root: Path, project: dict[str, Any]) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    reasons = {
        canonicalize_name(Requirement(line).name)
        for line, reason in re.findall(r'^    "([^"]+)", # not imported: (.*)$', text, re.MULTILINE)
        if len(reason.split()) > 3
    }
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    declared = names(project["project"]["dependencies"]) | names(extras)
    assert declared - imported(root, "src", "crawler").keys() - reasons == set()
    assert reasons <= declared


def test_imports_are_found_wherever_they_stand() -> None:
    code = "import a.b\nfrom . import c\ndef f():\n    from d.e import g\nif x:\n    import json, h as i"
    assert modules(code) == {"a", "d", "h"}


def test_the_optional_parts_are_installed_for_the_tests(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    declared = [line for lines in extras.values() for line in lines]
    groups = project["dependency-groups"]
    assert sorted(declared) == sorted(
        [*groups["extras"], *(line for line in groups["app"] if line.startswith("gradio>"))]
    )


def test_every_direct_dependency_is_pinned_within_its_range(root: Path, project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    lines = [
        *project["project"]["dependencies"],
        *groups["test"],
        *groups["lint"],
        *groups["extras"],
        *groups["app"],
    ]
    pins = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    for requirement in map(Requirement, lines):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_every_licence_is_known_and_leaves_ours_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(root / ".ci/dependencies.py"))
    assert script["licences"]() == 0, capsys.readouterr().out
    assert script["is_free"]("EPL-2.0 OR GPL-2.0-or-later")
    assert not script["is_free"]("GPL-3.0-only")
    assert script["is_free"]("GNU Lesser General Public License v3 (LGPLv3)")
    assert not script["is_free"]("")
