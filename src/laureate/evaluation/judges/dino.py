"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193): self-supervised features, learnt without text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import JudgeOutput, in_batches
from laureate.torch_utils import device

if TYPE_CHECKING:
    from PIL.Image import Image


class DinoJudge:
    """A `transformers` Dinov2Model with its image processor, from one folder."""

    def __init__(self, model: Any, processor: Any, batch: int = 32) -> None:
        self.model, self.processor, self.batch = model, processor, batch

    @classmethod
    def load(cls, source: str, batch: int = 32) -> DinoJudge:
        """Load from a folder or the hub, or raise LaureateError saying what is missing (see `weights`)."""
        folder = weights.find(source).path
        from transformers import BitImageProcessorPil, Dinov2Model
        from transformers.utils import logging

        logging.disable_progress_bar()
        model = Dinov2Model.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        processor = BitImageProcessorPil.from_pretrained(folder, local_files_only=True)
        return cls(model.eval().to(device.pick()), processor, batch)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => {features: (n, d)}: the class token after the last norm, not scaled."""

        def forward(part: list[Image]) -> dict[str, Any]:
            values = self.processor(images=part, return_tensors="pt")["pixel_values"]
            return {"features": self.model(pixel_values=values.to(self.model.device)).pooler_output}

        return in_batches(pictures, self.batch, forward)
