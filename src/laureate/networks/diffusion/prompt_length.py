"""Find the part of a prompt that the text encoder does not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def split(tokenizer: Any, text: str) -> tuple[str, str, int]:
    """A text => the part that is read, the rest that is cut, and the number of all its tokens.

    The text encoder reads `model_max_length` tokens (77 for CLIP), of which two mark start and end.
    """
    limit = tokenizer.model_max_length
    found = tokenizer(text, truncation=False, verbose=False, return_offsets_mapping=True)
    count = len(found.input_ids)
    if count <= limit:
        return text, "", count
    end = found.offset_mapping[limit - 2][1]
    return text[:end].rstrip(), text[end:].strip(), count


def sentence(tokenizer: Any, text: str, name: str, style: str) -> str | None:
    """What is cut of the prompt `name`, and whether the phrase `style` is lost; None if nothing is."""
    read, cut, count = split(tokenizer, text)
    if not cut:
        return None
    lost = style.casefold() in text.casefold() and style.casefold() not in read.casefold()
    style_lost = f"; with it the style phrase {style!r} is lost" if lost else ""
    return (
        f"the prompt {name} has {count} tokens, and the text encoder reads {tokenizer.model_max_length}: "
        f"{cut!r} is not read{style_lost}; shorten the prompt, or set "
        "sample.long_prompts to chunks"
    )


def sentences(tokenizer: Any, texts: Mapping[str, str], style: str) -> list[str]:
    """`sentence` of every prompt (name => text) that is cut."""
    found = (sentence(tokenizer, text, name, style) for name, text in texts.items())
    return [line for line in found if line is not None]
