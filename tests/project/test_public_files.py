"""Workflow, issue forms, changelog and security policy: valid, complete, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from laureate import __version__

CLASSIFIER = "Programming Language :: Python :: "


def loaded(path: Path) -> dict[str, Any]:
    """A YAML file; its strings stay strings, as `on` would be read as true."""
    values = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    assert isinstance(values, dict)
    return values


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_ci_runs_the_checks_on_every_supported_python(root: Path, project: dict[str, Any]) -> None:
    workflow = loaded(root / ".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert {"push", "pull_request"} <= set(workflow["on"])
    (job,) = workflow["jobs"].values()
    pythons = job["strategy"]["matrix"]["python"]
    assert pythons == [c.removeprefix(CLASSIFIER) for c in project["classifiers"] if c.startswith(CLASSIFIER)]
    wanted = SpecifierSet(project["requires-python"])
    assert all(version in wanted for version in pythons)
    major, first = pythons[0].split(".")
    assert f"{major}.{int(first) - 1}" not in wanted
    setup = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
    assert setup["with"]["python-version"] == "${{ matrix.python }}"
    assert all((root / path).is_file() for path in setup["with"]["cache-dependency-path"].split())
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[-1] == ".ci/run"
    assert (root / ".ci/run").stat().st_mode & 0o111
    assert job["env"]["PYTHON"] == "python"
    assert re.search(r"^PYTHON \?=", (root / "Makefile").read_text(), re.MULTILINE)  # so that this counts


def test_issue_forms_ask_for_what_an_answer_needs(root: Path) -> None:
    folder = root / ".github/ISSUE_TEMPLATE"
    for name in ("bug", "question"):
        form = loaded(folder / f"{name}.yml")
        assert form["name"]
        assert form["description"]
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids))
        for field in form["body"]:
            assert field["type"] in {"input", "textarea"}
            assert field["attributes"]["label"]
    bug = {field["id"]: field for field in loaded(folder / "bug.yml")["body"]}
    assert "laureate --version" in bug["version"]["attributes"]["description"]
    assert {"version", "command", "log"} <= {
        name for name, field in bug.items() if field["validations"]["required"] == "true"
    }


def test_the_changelog_names_every_version(root: Path, project: dict[str, Any]) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.MULTILINE)
    versions = [version for version, _ in headings]
    assert versions[0] == "Unreleased"
    assert project["version"] == __version__ == versions[1]
    assert all(date for version, date in headings if version != "Unreleased")
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_security_policy_says_where_to_report(root: Path) -> None:
    assert "privately" in (root / "SECURITY.md").read_text(encoding="utf-8")
