"""Byte-level BPE tokenizer in CLIP's form: it encodes any text, and the captions in few tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"


def train(texts: Iterable[str], vocabulary: int) -> Any:
    """Learn `vocabulary` tokens from `texts`; returns a `transformers.CLIPTokenizer`.

    The 256 bytes, inside a word and at its end (`</w>`), are always tokens, so that no text is unknown.
    """
    import json

    from tokenizers import trainers
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    untrained = CLIPTokenizer()  # for its normaliser and pre-tokenizer
    backend = untrained.backend_tokenizer
    alphabet = sorted(ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocabulary - len(alphabet), len(alphabet) + 2),
        special_tokens=[START, END],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    learnt = json.loads(backend.to_str())["model"]
    # CLIP's order: bytes, bytes at a word's end, merges, special tokens
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    known = set(tokens)
    for left, right in merges:
        if left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
    vocab = {token: index for index, token in enumerate([*tokens, START, END])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=LENGTH)


def sheet(tokenizer: Any, ids: NDArray[np.int16]) -> dict[str, float]:
    """Size of the vocabulary, and lengths of captions in tokens; ids are (n, 77)."""
    lengths = (ids != tokenizer.eos_token_id).sum(axis=1) + 1
    return {"vocabulary": len(tokenizer), "mean_length": float(lengths.mean()), "longest": int(lengths.max())}
