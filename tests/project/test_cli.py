"""The command line: its verbs, its start-up time, its error messages and exit statuses."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from laureate import cli
from laureate.core.errors import LaureateError


def test_help_lists_the_verbs_in_the_order_of_the_flow(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    listed = re.findall(r"^    (\w+) ", capsys.readouterr().out, flags=re.MULTILINE)
    assert listed == [*cli.STAGES, *cli.BESIDE]
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    assert list(dict.fromkeys(name.split("-")[0] for name in stages)) == list(cli.STAGES)


def test_every_verb_has_its_module() -> None:
    for verb in cli.STAGES:
        assert callable(importlib.import_module(f"laureate.stages.{verb}").run)
    for verb in cli.BESIDE:
        assert callable(importlib.import_module(cli.MODULES.get(verb, f"laureate.commands.{verb}")).run)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_starting_is_quick_and_imports_nothing_heavy(root: Path, option: str) -> None:
    code = (
        "import sys; from laureate import cli; from laureate.config import params\n"
        f"try: cli.main([{option!r}])\nexcept SystemExit: pass\n"
        "params.load()\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'pandas', 'numpy', 'scipy', 'dvc', 'scrapy',"
        " 'matplotlib', 'gradio', 'fastapi'}\n"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    start = os.times()
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    end = os.times()  # the work it took: on a busy machine the clock would measure the others
    assert end.children_user + end.children_system - start.children_user - start.children_system < 1


def test_every_stage_module_starts_without_torch() -> None:
    """What a stage can check, it checks before it loads what takes seconds."""
    code = "import sys\n" + "".join(f"import laureate.stages.{verb}\n" for verb in cli.STAGES)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def fake(verb: str, monkeypatch: pytest.MonkeyPatch, run: object) -> None:
    """Put a stage of our own in the place of a verb's."""
    module = types.ModuleType(f"laureate.stages.{verb}")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"laureate.stages.{verb}", module)


def test_a_stage_gets_its_arguments(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    seen = []
    fake("train", monkeypatch, lambda params, rank: seen.append((params.train.steps > 0, rank)))
    fake("evaluate", monkeypatch, lambda params, model: seen.append((params.ranks[0] > 0, model)))
    assert cli.main(["train", "--rank", "8"]) == 0
    assert cli.main(["evaluate", "--model", "noise-floor"]) == 0
    assert seen == [(True, 8), (True, "noise-floor")]


def test_what_a_person_can_put_right_is_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(params: object) -> None:
        raise LaureateError("data/raw lacks 844.jpg; run `laureate crawl` again")

    monkeypatch.chdir(root)
    fake("prepare", monkeypatch, run)
    assert cli.main(["prepare"]) == 1
    assert capsys.readouterr().err == "laureate: data/raw lacks 844.jpg; run `laureate crawl` again\n"


def test_an_interrupt_is_told_from_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(params: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(root)
    fake("prepare", monkeypatch, run)
    assert cli.main(["prepare"]) == 130
    assert "prepare was interrupted" in capsys.readouterr().err


def test_a_mistake_of_ours_is_one_sentence_and_a_log(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(params: object) -> None:
        raise ZeroDivisionError(f"in {Path.home()}/study with {os.environ['MY_API_KEY']}")

    shutil.copy(root / "params.yaml", tmp_path)
    shutil.copytree(root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.png", "*.jpg"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_API_KEY", "marker-of-the-key")
    fake("prepare", monkeypatch, run)
    assert cli.main(["prepare"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "prepare stopped at an unexpected error" in said
    (log,) = tmp_path.glob(".work/errors/*.log")
    assert log.name in said
    text = log.read_text()
    assert "ZeroDivisionError" in text
    assert "Traceback" in text
    assert str(Path.home()) not in text
    assert "marker-of-the-key" not in text + said
    assert cli.main(["--debug", "prepare"]) == 1
    assert "Traceback" in capsys.readouterr().err
