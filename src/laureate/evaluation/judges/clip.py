"""CLIP: pictures and text in one space (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import Features, JudgeOutput, batches, numpy, unit
from laureate.torch_utils import device

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipJudge:
    """A `transformers` CLIPModel with its tokenizer and image processor, from one folder."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, batch: int = 32) -> None:
        self.model, self.tokenizer, self.processor, self.batch = model, tokenizer, processor, batch

    @classmethod
    def load(cls, source: str | Path, batch: int = 32) -> ClipJudge:
        """Load from a folder or the hub, or raise LaureateError saying what is missing (see `weights`)."""
        folder = weights.find(str(source)).path
        # by class, not through Auto*: importing less of transformers halves the start
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # loading takes a hundredth of a second
        options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
        model = CLIPModel.from_pretrained(folder, **options).eval().to(device.pick())
        options.pop("use_safetensors")
        tokenizer = CLIPTokenizer.from_pretrained(folder, **options)
        return cls(model, tokenizer, CLIPImageProcessorPil.from_pretrained(folder, **options), batch)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => {features: (n, d)}; see `pictures`."""
        return {"features": self.pictures(pictures)}

    def pictures(self, pictures: Sequence[Image]) -> Features:
        """n RGB pictures => (n, d) float32, unit length."""
        import torch

        parts = []
        with torch.inference_mode():
            for batch in batches(pictures, self.batch):
                pixels = self.processor(images=batch, return_tensors="pt")["pixel_values"]
                output = self.model.vision_model(pixel_values=pixels.to(self.model.device))
                parts.append(self.model.visual_projection(output.pooler_output))
        return unit(numpy(parts))

    def texts(self, texts: Sequence[str]) -> Features:
        """n texts => (n, d) float32, unit length; tokens beyond the model's context are cut."""
        import torch

        parts = []
        with torch.inference_mode():
            for batch in batches(texts, self.batch):
                tokens = self.tokenizer(batch, padding="max_length", truncation=True, return_tensors="pt")
                tokens = tokens.to(self.model.device)
                output = self.model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"])
                parts.append(self.model.text_projection(output.pooler_output))
        return unit(numpy(parts))
