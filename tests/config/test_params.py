"""params.yaml: invalid values stop every command at once, with one sentence that names the key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from laureate.config import error_messages, params
from laureate.config.schema import NEWER
from laureate.config.section import Section
from laureate.core.errors import ParameterError


@pytest.fixture
def study(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The shipped parameters, in a folder that has the prompt files and nothing else."""
    values: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    for name in values["sample"]["prompts"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[]")
    monkeypatch.chdir(tmp_path)
    return values


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key."""
    *sections, name = key.split(".")
    for section in sections:
        values = values[section]
    values[name] = value


BAD = [
    ("train.stepz", 5, "train.stepz is not a known key (did you mean train.steps?)"),
    ("tarin", {}, "tarin is not a known key (did you mean train?)"),
    ("train.steps", "many", "train.steps must be a whole number, got 'many'"),
    ("train.steps", 10.5, "train.steps must be a whole number, got 10.5"),
    ("train.steps", True, "train.steps must be a whole number, got True"),
    ("train.steps", None, "train.steps must be a whole number, got nothing"),
    ("train.steps", 0, "train.steps must be greater than 0, got 0"),
    ("train.learning_rate", "1e-4", "train.learning_rate must be a number, got '1e-4' (write 1.0e-4)"),
    ("train.learning_rate", "1e4", "train.learning_rate must be a number, got '1e4' (write 1.0e+4)"),
    ("train.learning_rate", float("nan"), "train.learning_rate must be a finite number, got nan"),
    ("train.alpha", "half", "train.alpha must be 'rank' or a number, got 'half'"),
    ("train.alpha", 0, "train.alpha must be 'rank' or greater than 0, got 0"),
    ("train.targets", [], "train.targets must be a list of at least 1, got []"),
    ("train.targets", ["to_q", 3], "train.targets[1] must be text, got 3"),
    ("train", 3, "train must be a section of keys, got 3"),
    ("train.precision", "half", "train.precision must be 'auto', 'float32' or 'bfloat16', got 'half'"),
    ("ranks", [], "ranks must be a list of at least 1, got []"),
    ("ranks", [4, 0], "ranks[1] must be greater than 0, got 0"),
    ("ranks", [4, -8], "ranks[1] must be greater than 0, got -8"),
    ("ranks", [4, 8, 4], "ranks must differ from each other, got [4, 8, 4]"),
    ("ranks", 4, "ranks must be a list, got 4"),
    (
        "selected",
        "rank-5",
        "selected is 'rank-5': choose one of noise-floor, vae-ceiling, baseline, rank-4, ",
    ),
    ("sample.prompts", ["data/nowhere.yaml"], "sample.prompts[0]: there is no file data/nowhere.yaml"),
    ("sample.prompts", [], "sample.prompts must be a list of at least 1, got []"),
    ("sample.seeds", [1, 1], "sample.seeds must differ from each other, got [1, 1]"),
    ("sample.guidance", 0.5, "sample.guidance must be greater than or equal to 1, got 0.5"),
    ("sample.scheduler", "euler", "sample.scheduler must be 'ddim' or 'dpm++', got 'euler'"),
    ("prepare.resolution", 100, "prepare.resolution must be a multiple of 8, got 100"),
    ("external", {"rank-9": {}}, "external.rank-9 has the name of a model of the study"),
    ("external", {"DALL-E": {}}, "external.DALL-E must be text of the form ^[a-z0-9]+(-[a-z0-9]+)*$"),
    ("external", {"other": {"folder": "x"}}, "external.other.folder is not a known key"),
    ("external", {"other": {"endpoint": {"url": "http://h/v1"}}}, "external.other.endpoint.model is missing"),
    (
        "external",
        {"other": {"endpoint": {"url": "http://h", "model": "m", "sise": "auto"}}},
        "external.other.endpoint.sise is not a known key (did you mean external.other.endpoint.size?)",
    ),
    (
        "external",
        {"other": {"endpoint": {"url": "http://h", "model": "m", "timeout": 0}}},
        "external.other.endpoint.timeout must be greater than 0, got 0",
    ),
    (
        "external",
        {"other": {"endpoint": {"url": "h", "model": "m"}}},
        "external.other.endpoint.url must be text of the form ^https?://",
    ),
    ("external", ["dall-e-3"], "external must be a section of keys, got ['dall-e-3']"),
    ("crawl.years", [2020, 1990], "crawl.years must be [first, last], got [2020, 1990]"),
    ("train.learning_rate", {4: 1.0e-3}, "train.learning_rate has no value for rank 8"),
    ("train.learning_rate", {4: 0.0}, "train.learning_rate[4] must be greater than 0, got 0.0"),
    ("train.dropout", 1.0, "train.dropout must be less than 1, got 1.0"),
    ("prepare.min_holdout", 1, "prepare.min_holdout is 1, but scores need 3 portraits or more"),
    ("prepare.min_train", 2, "prepare.min_train is 2, but scores need 3 portraits or more"),
    ("train.variant", "lokr", "train.variant must be 'lora', 'rslora' or 'dora', got 'lokr'"),
    ("train.compile", True, "train.compile must be 'none', 'default', 'reduce-overhead' or 'max-autotune'"),
    ("train.seeds", [], "train.seeds must be a list of at least 1, got []"),
    ("train.seeds", [1, 1], "train.seeds must differ from each other, got [1, 1]"),
    ("train.seed", 42, "train.seed is not a known key (did you mean train.seeds?)"),
    ("train.learning_rates", [1e-3, 0.0], "train.learning_rates[1] must be greater than 0, got 0.0"),
    ("train.snapshots", [40, 81], "train.snapshots names step 81, but training ends after 80 steps"),
    ("train", {"init": "pissa", "variant": "dora"}, "train.init: pissa goes with train.variant lora or"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), BAD)
def test_a_bad_value_is_named(study: dict[str, Any], key: str, value: Any, sentence: str) -> None:
    put(study, key, value)
    Path("params.yaml").write_text(yaml.safe_dump(study))
    with pytest.raises(ParameterError) as caught:
        params.load()
    message = str(caught.value)
    assert message.startswith(f"params.yaml: {sentence}"), message
    assert "\n" not in message


def test_the_shipped_parameters_are_good_and_complete(study: dict[str, Any]) -> None:
    """Every key is written out in params.yaml: no default hides in the code."""
    Path("params.yaml").write_text(yaml.safe_dump(study))
    loaded = params.load()
    for section in ("train", "sample"):  # these defaults are not recorded in outputs
        named = set(NEWER) & set(type(getattr(loaded, section)).model_fields)
        assert named <= set(study[section])
        for key in named:
            if study[section][key] == NEWER[key]:
                del study[section][key]
    assert set(NEWER) <= set(params.Train.model_fields) | set(params.Sample.model_fields)
    assert loaded.model_dump() == study
    assert loaded.models == [
        "noise-floor",
        "vae-ceiling",
        "baseline",
        *(f"rank-{rank}" for rank in study["ranks"]),
    ]


def test_what_is_no_parameter_file_is_refused(study: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"params\.yaml does not exist: run laureate in"):
        params.load()
    for text, sentence in (
        ("a: [1", "cannot be read: "),
        ("- 1", "must hold sections"),
        ("", "must hold sections"),
    ):
        Path("params.yaml").write_text(text)
        with pytest.raises(ParameterError, match=sentence):
            params.load()
    Path("params.yaml").write_bytes(b"world: \xe9")
    with pytest.raises(ParameterError, match=r"params\.yaml cannot be read: it is not UTF-8 text.*save it"):
        params.load()
    with pytest.raises(ParameterError, match=r"^data cannot be read: Is a directory$"):
        params.load("data")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(study: dict[str, Any], encoding: str) -> None:
    text = yaml.safe_dump(study)
    Path("params.yaml").write_text(text)
    before = params.load()
    Path("params.yaml").write_text(text, encoding)
    assert params.load() == before


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys."""
    found = []
    for name, field in model.model_fields.items():
        found.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found += keys(field.annotation, f"{prefix}{name}.")
    return found


@given(key=st.sampled_from(keys(params.Params)), value=junk)
@settings(max_examples=300, deadline=None)
def test_any_junk_is_accepted_or_refused_by_name(key: str, value: Any) -> None:
    """No value of any key gets past with another error than one sentence that names the key."""
    values = params.Params().model_dump()
    put(values, key, value)
    try:
        params.Params.model_validate(values)
    except ValueError as error:
        sentence = error_messages.sentence(error)  # type: ignore[arg-type]
        assert sentence.startswith(key), sentence
        assert "\n" not in sentence


# --- through the command line ---


@pytest.mark.parametrize(
    ("key", "value", "command", "named"),
    [
        ("train.stepz", 5, ["prepare"], "train.stepz"),
        ("train.learning_rate", "1e-4", ["train", "--rank", "4"], "train.learning_rate"),
        ("ranks", [0], ["train", "--rank", "4"], "ranks[0]"),
        ("ranks", [], ["compare"], "ranks"),
        ("sample.prompts", ["data/nowhere.yaml"], ["sample", "--model", "baseline"], "sample.prompts[0]"),
        ("selected", "rank-4", ["sample", "--model", "rank-5"], "--model rank-5"),
        ("selected", "rank-4", ["sample", "--model", "noise-floor"], "--model noise-floor"),
        ("selected", "rank-4", ["evaluate", "--model", "best"], "--model best"),
        ("selected", "rank-4", ["train", "--rank", "5"], "--rank 5"),
    ],
)
def test_the_command_line_stops_at_once_with_one_sentence(
    study: dict[str, Any], key: str, value: Any, command: list[str], named: str
) -> None:
    put(study, key, value)
    Path("params.yaml").write_text(yaml.safe_dump(study))
    start = os.times()
    done = subprocess.run([sys.executable, "-m", "laureate", *command], capture_output=True, text=True)
    end = os.times()  # the work it took: on a busy machine the clock would measure the others
    assert end.children_user + end.children_system - start.children_user - start.children_system < 2
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("laureate: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
