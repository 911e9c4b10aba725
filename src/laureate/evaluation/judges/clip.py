"""CLIP: pictures and text in one space (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import Features, Seen, batches, numpy, unit
from laureate.torch_utils import device

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipJudge:
    """A `transformers` CLIPModel with its tokenizer and picture pre-processing, as one folder holds them."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, batch: int = 32) -> None:
        self.model, self.tokenizer, self.processor, self.batch = model, tokenizer, processor, batch

    @classmethod
    def load(cls, source: str | Path, batch: int = 32) -> ClipJudge:
        """Load from a folder or the hub, or say in one sentence what is missing there (see `weights`)."""
        folder = weights.find(str(source)).path
        # by class, not through Auto*: importing less of transformers halves the start
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar of its own for a hundredth of a second
        options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
        model = CLIPModel.from_pretrained(folder, **options).eval().to(device.pick())
        options.pop("use_safetensors")
        tokenizer = CLIPTokenizer.from_pretrained(folder, **options)
        return cls(model, tokenizer, CLIPImageProcessorPil.from_pretrained(folder, **options), batch)

    def see(self, pictures: Sequence[Image]) -> Seen:
        """n RGB pictures => {features: (n, d)}; see `pictures`."""
        return {"features": self.pictures(pictures)}

    def pictures(self, pictures: Sequence[Image]) -> Features:
        """n RGB pictures => (n, d) float32, unit length."""
        import torch

        found = []
        with torch.inference_mode():
            for part in batches(pictures, self.batch):
                pixels = self.processor(images=part, return_tensors="pt")["pixel_values"]
                seen = self.model.vision_model(pixel_values=pixels.to(self.model.device))
                found.append(self.model.visual_projection(seen.pooler_output))
        return unit(numpy(found))

    def texts(self, texts: Sequence[str]) -> Features:
        """n texts => (n, d) float32, unit length; what is past the model's context is cut."""
        import torch

        found = []
        with torch.inference_mode():
            for part in batches(texts, self.batch):
                tokens = self.tokenizer(part, padding="max_length", truncation=True, return_tensors="pt")
                tokens = tokens.to(self.model.device)
                read = self.model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"])
                found.append(self.model.text_projection(read.pooler_output))
        return unit(numpy(found))
