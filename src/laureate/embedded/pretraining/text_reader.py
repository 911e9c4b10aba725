"""Train the text model to predict attributes from captions.

One learned query per attribute attends to the last hidden state, as the UNet's cross-attention will; a second
set of heads reads the end token, which CLIP uses. All heads are discarded. The text model is then frozen; it
is the text encoder of the base and the text tower of the CLIP judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from laureate.embedded.pretraining import architecture, model_files
from laureate.embedded.pretraining.config import Config
from laureate.embedded.pretraining.drawings import HEADS
from laureate.embedded.pretraining.train_loop import Task


def attribute_loss(logits: dict[str, Tensor], labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over heads; labels (n, heads) int64, `mask` (n, heads) bool: which of them count."""
    losses = []
    for column, name in enumerate(HEADS):
        each = nn.functional.cross_entropy(logits[name].float(), labels[:, column], reduction="none")
        if mask is None:
            losses.append(each.mean())
        else:
            counts = mask[:, column].float()
            losses.append((each * counts).sum() / counts.sum().clamp(min=1))
    return torch.stack(losses).mean()


class TextReader(nn.Module):
    """A text model and, for its training, one query and one head per attribute."""

    def __init__(self, text: Any, heads: int) -> None:
        super().__init__()
        self.text = text
        width = text.config.hidden_size
        self.queries = nn.Parameter(torch.randn(len(HEADS), width) * 0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(classes)) for name, classes in HEADS.items()})
        self.ends = nn.ModuleDict({name: nn.Linear(width, len(classes)) for name, classes in HEADS.items()})

    def forward(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Token ids (n, 77) => head => (n, classes), predicted by the queries and at the end token."""
        out = self.text(ids)
        hidden = out.last_hidden_state
        queries = self.queries.expand(len(ids), -1, -1)
        read, _ = self.attention(queries, hidden, hidden, need_weights=False)
        queried = {name: head(read[:, index]) for index, (name, head) in enumerate(self.heads.items())}
        return queried, {name: head(out.pooler_output) for name, head in self.ends.items()}


@dataclass
class ReaderTask(Task):
    """Training of the text model. An attribute that a caption does not name is random: its best prediction is
    the frequency of each class."""

    config: Config
    cache: Path
    out: Path
    tokenizer: Any

    def __post_init__(self) -> None:
        self.settings = self.config.reader
        self._data: tuple[NDArray[np.int16], NDArray[np.int8]] | None = None

    def build(self) -> TextReader:
        """The text model with its heads."""
        torch.manual_seed(self.settings.seed)
        return TextReader(
            architecture.build_text(self.config.reader, self.tokenizer), self.config.reader.heads
        )

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Cross-entropy of all attributes and the style."""
        if self._data is None:
            self._data = (
                np.load(self.cache / "captions.npy", mmap_mode="r"),
                np.load(self.cache / "labels.npy"),
            )
        ids, labels = self._data
        rows, column = rng.integers(len(ids), size=batch), rng.integers(ids.shape[1], size=batch)
        tokens = torch.from_numpy(ids[rows, column].astype(np.int64))
        wanted = torch.from_numpy(labels[rows].astype(np.int64))
        queried, ended = model(tokens)
        return (attribute_loss(queried, wanted) + attribute_loss(ended, wanted)) / 2

    def save(self, model: Any) -> None:
        """Save the text model without the heads."""
        model_files.save_half(model.text, self.out)
