"""The stages of the pre-training: input, output and progress; the work is in the modules beside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laureate.atelier import captions
from laureate.atelier.pretrain import drawings, shipping
from laureate.atelier.pretrain import tokenizer as tokenizers
from laureate.atelier.pretrain.config import Config


@dataclass(frozen=True)
class Place:
    """Where things are: the shipped folder and the scratch folder."""

    models: Path
    cache: Path

    @property
    def base(self) -> Path:
        """The Stable Diffusion folder."""
        return self.models / "base"

    def curve(self, name: str) -> Path:
        """The loss curve of a training."""
        return self.models / "curves" / f"{name}.csv"


def load_tokenizer(place: Place) -> Any:
    """The trained tokenizer."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(place.base / "tokenizer", local_files_only=True)


def random(out: Path, config: Config, seed: int) -> None:
    """Random weights in the shipped layout."""
    tokenizer = tokenizers.train(captions.words(2000), config.tokenizer.vocabulary)
    shipping.write_random(out, config, seed, tokenizer)


def draw(place: Place, config: Config, processes: int, resume: bool) -> None:
    """The training drawings."""
    drawings.draw(place.cache, config.draw, config.size, processes)


def tokenizer(place: Place, config: Config, processes: int, resume: bool) -> None:
    """The tokenizer, and `captions.npy`: (drawings, captions, 77) int16 token ids."""
    learnt = tokenizers.train(captions.words(config.tokenizer.captions), config.tokenizer.vocabulary)
    shipping.save_tokenizer(learnt, place.base / "tokenizer")
    texts = drawings.write_captions(config.draw)
    flat = [text for row in texts for text in row]
    ids = learnt(flat, padding="max_length", truncation=True, return_tensors="np")["input_ids"].astype(
        np.int16
    )
    np.save(place.cache / "captions.npy", ids.reshape(len(texts), config.draw.captions, tokenizers.LENGTH))
