"""Prompt files: the shipped ones load, a bad row is named with its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from laureate.core.errors import LaureateError
from laureate.embedded import prompt_writer
from laureate.formats import prompts
from laureate.simulator.portraits import captions, styles

GOOD = {"id": "a-man", "text": "A man.", "set": "seed", "attributes": {"gender": "man"}}


def test_the_nine_prompts_of_the_seed(root: Path) -> None:
    seed = prompts.load([root / "data" / "prompts.yaml"])
    assert len(seed) == 9
    for prompt in seed:
        assert prompt.set == "seed"
        assert prompt.text.endswith(f", {captions.STYLE_PHRASES[styles.LAUREATE][0]}.")
        assert prompt.attributes
    assert seed[0].text.startswith("Donald Trump with a serious face, and wearing a hat, ")


def test_the_embedded_prompts_are_what_the_code_writes(root: Path) -> None:
    path = root / "data" / "prompts-embedded.yaml"
    assert path.read_text() == prompt_writer.as_yaml(prompt_writer.study()), (
        "run python -m laureate.embedded.prompt_writer > the file"
    )
    assert prompts.load([path]) == prompt_writer.study()


def test_embedded_prompts_ask_for_a_few_readable_attributes() -> None:
    for prompt in prompt_writer.study(count=200, seed=7):
        assert 2 <= len(prompt.attributes) <= 5
        assert f" {prompt.attributes['gender']}" in prompt.text
        assert "none" not in prompt.attributes.values()
        for name in prompt.attributes.keys() & {"clothing", "glasses", "facial_hair", "headwear"}:
            phrase = captions.phrase(name, prompt.attributes[name], prompt.attributes["gender"])
            assert phrase in prompt.text


def test_no_shipped_prompt_repeats_another(root: Path) -> None:
    both = prompts.load([root / "data" / "prompts.yaml", root / "data" / "prompts-embedded.yaml"])
    assert len({prompt.id for prompt in both}) == len({prompt.text for prompt in both}) == len(both) == 49


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([GOOD, GOOD], r"row 2: 'a-man' was used before, in .*row 1"),
        ([GOOD, GOOD | {"id": "b"}], r"row 2: 'A man\.' was used before"),
        ([GOOD | {"id": "A man"}], "row 1: id must be lower-case words joined by '-', got 'A man'"),
        ([GOOD | {"id": "../x"}], "row 1: id must be lower-case words"),
        ([GOOD | {"id": 7}], "row 1: id must be lower-case words"),
        ([GOOD | {"text": " "}], "row 1: text must not be empty"),
        ([GOOD | {"set": "other"}], "row 1: set must be one of seed, study, got 'other'"),
        ([GOOD | {"attributes": {"nose": "long"}}], "row 1: 'nose' is not an attribute; choose from gender"),
        ([GOOD | {"attributes": {"hair": "none"}}], "row 1: hair cannot be 'none'; choose from bald"),
        ([GOOD | {"attributes": ["man"]}], "row 1: attributes must be pairs"),
        ([GOOD | {"more": 1}], "row 1: a prompt has the keys id, text, set"),
        (["a man"], "row 1: a prompt has the keys"),
        ({"id": "a"}, "must be a list of prompts"),
        ([], "hold no prompt"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, rows: object, sentence: str) -> None:
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(rows))
    with pytest.raises(LaureateError, match=sentence):
        prompts.load([tmp_path / "p.yaml"])


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match=r"does not exist; sample\.prompts"):
        prompts.load([tmp_path / "p.yaml"])
    (tmp_path / "p.yaml").write_text("- id: [")
    with pytest.raises(LaureateError, match=r"p\.yaml cannot be read"):
        prompts.load([tmp_path / "p.yaml"])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("A man with a hat, in the style of Nobel Laureate.", "A man with a hat."),
        ("A man in the style of Nobel Laureate", "A man"),
        ("A man with a hat.", "A man with a hat."),
    ],
)
def test_the_content_of_a_prompt_is_all_but_the_style(text: str, content: str) -> None:
    assert prompts.without_style(text, "in the style of Nobel Laureate") == content


def test_plain_prompts_are_spread_over_all_that_have_the_phrase() -> None:
    asked = [
        prompts.Prompt(f"p{i}", f"Person {i}, in the style of X.", "study", {"hair": "curly"})
        for i in range(10)
    ]
    found = prompts.plain(asked, "in the style of X", 4)
    assert [prompt.id for prompt in found] == ["p0", "p2", "p5", "p7"]
    assert found[1] == prompts.Prompt("p2", "Person 2.", "study", {"hair": "curly"})
    assert len(prompts.plain(asked, "in the style of X", 99)) == 10
    assert prompts.plain(asked, "in the style of X", 0) == []
    assert prompts.plain(asked, "in the style of Y", 4) == []  # none has that phrase


def test_plain_prompts_leave_out_what_says_nothing_or_the_same() -> None:
    texts = ["In the style of X.", "A man, in the style of X.", "A man in the style of X.", "A woman."]
    asked = [prompts.Prompt(f"p{i}", text, "study") for i, text in enumerate(texts)]
    assert [prompt.id for prompt in prompts.plain(asked, "in the style of X", 9)] == ["p1"]
    assert [prompt.id for prompt in prompts.plain(asked, "In the style of X", 9)] == []
