"""`laureate world`: set all values of a preset, keep the others, restore the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate import cli
from laureate.commands import world as worlds
from laureate.config import params

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.9g}"))  # as people write them: few digits


def leaves(values: dict[str, Any]) -> set[str]:
    """Dotted keys, two levels deep: sections and what is in them."""
    return {
        f"{key}.{name}" if name else key
        for key, value in values.items()
        for name in (value if isinstance(value, dict) else [""])
    }


@pytest.fixture
def study(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters, worlds and prompts, and nothing else."""
    for name in ("params.yaml", "worlds", "data"):
        source = root / name
        if source.is_dir():
            shutil.copytree(
                source, tmp_path / name, ignore=lambda _, names: [n for n in names if "." not in n]
            )
        else:
            shutil.copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params.yaml"


def test_every_world_has_the_same_keys(root: Path) -> None:
    files = worlds.known(root / "worlds")
    assert {"embedded", "nobel"} <= set(files)
    keys = {name: leaves(yaml.safe_load(file.read_text())) for name, file in files.items()}
    assert all(found == keys["embedded"] for found in keys.values()), keys
    for name, file in files.items():
        assert yaml.safe_load(file.read_text())["world"] == name


def test_the_shipped_parameters_are_the_embedded_world(root: Path) -> None:
    text, world = ((root / name).read_text() for name in ("params.yaml", "worlds/embedded.yaml"))
    assert worlds.switched(text, world) == (text, {})


def test_there_and_back_gives_the_same_bytes(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = study.read_text()
    for name in worlds.known(study.parent / "worlds"):
        assert cli.main(["world", name]) == 0
        loaded = params.load(study)
        assert loaded.world == name
        wanted = yaml.safe_load((study.parent / f"worlds/{name}.yaml").read_text())
        now = yaml.safe_load(study.read_text())
        for key, value in wanted.items():
            assert value == now[key] if not isinstance(value, dict) else value.items() <= now[key].items()
    assert cli.main(["world", "embedded"]) == 0
    assert study.read_text() == before
    assert "crawl.site: https://www.nobelprize.org => museum" in capsys.readouterr().out


def test_own_values_stay(study: Path) -> None:
    study.write_text(study.read_text().replace("steps: 80", "steps: 7 # few"))
    own = "max_grad_norm: 0.5 # mine"
    study.write_text(study.read_text().replace("max_grad_norm: 1.0", own))
    assert cli.main(["world", "nobel"]) == 0
    assert own in study.read_text()


def test_without_a_name_the_worlds_are_listed(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["world"]) == 0
    assert "* embedded\n" in (out := capsys.readouterr().out)
    assert "  nobel\n" in out


def test_an_unknown_world_changes_nothing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = study.read_bytes()
    assert cli.main(["world", "mars"]) == 2
    assert "there is no world 'mars': choose one of embedded, nobel" in capsys.readouterr().err
    (study.parent / "worlds/broken.yaml").write_text("world: broken\ntrain: {stepz: 3}\n")
    assert cli.main(["world", "broken"]) == 2
    assert "train.stepz is not a known key" in capsys.readouterr().err
    assert study.read_bytes() == before


def test_the_name_alone_makes_no_world(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text().replace("world: embedded", "world: nobel"))
    assert cli.main(["crawl", "--dry-run"]) == 2
    assert "run `laureate world nobel`" in capsys.readouterr().err


@settings(deadline=None)  # the first call imports the YAML writer
@given(
    st.dictionaries(
        st.sampled_from(["steps", "batch", "learning_rate", "alpha"]),
        st.one_of(st.integers(), NUMBERS, st.none(), st.text("abc: #'", max_size=9)),
        min_size=1,
    )
)
def test_what_a_world_says_is_what_is_read(values: dict[str, Any]) -> None:
    text = "# top\ntrain: # the section\n  steps: 1 # a comment\n  batch: 2\n\n# foot\nlast: [1, 2]\n"
    new, changed = worlds.switched(text, yaml.safe_dump({"train": values}))
    assert yaml.safe_load(new) == {"train": {"steps": 1, "batch": 2} | values, "last": [1, 2]}
    assert set(changed) <= {f"train.{key}" for key in values}
    assert "# top" in new
    assert "# foot" in new
