"""What the text encoder does not read of a prompt is found, for any text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laureate.networks.diffusion import encoding, prompt_length

STYLE = "in the style of Nobel Laureate"
LONG = ", ".join(["A man with a hat and round glasses and a beard"] * 13) + f", {STYLE}."


@pytest.fixture(scope="module")
def tokenizer(tiny_models: Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(tiny_models / "base/tokenizer", local_files_only=True)


def test_a_long_prompt_and_its_lost_style(tokenizer: Any) -> None:
    read, cut, count = prompt_length.split(tokenizer, LONG)
    assert count > tokenizer.model_max_length
    assert LONG.startswith(read)
    assert LONG.endswith(cut)
    assert STYLE in cut
    text = prompt_length.sentence(tokenizer, LONG, "long", STYLE)
    assert text is not None
    assert "the prompt long has" in text
    assert f"style phrase {STYLE!r} is lost" in text
    assert "style phrase" not in str(prompt_length.sentence(tokenizer, f"{STYLE}: {LONG[:-30]}", "x", STYLE))
    said = prompt_length.sentences(tokenizer, {"a": "A man.", "long": LONG}, STYLE)
    assert said == [text]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=12), st.integers(1, 60))
def test_what_is_read_has_the_same_tokens(tokenizer: Any, word: str, times: int) -> None:
    text = " ".join([word] * times)
    read, cut, count = prompt_length.split(tokenizer, text)
    assert (count > tokenizer.model_max_length) == bool(encoding.count_cut(tokenizer, [text]))
    if count <= tokenizer.model_max_length:
        assert (read, cut) == (text, "")
    else:
        assert text.startswith(read)
