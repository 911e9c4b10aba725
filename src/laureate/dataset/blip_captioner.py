"""Caption pictures with BLIP (Li et al., 2022) in free words, where the vocabulary is too small."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.torch_utils import device

if TYPE_CHECKING:
    from PIL.Image import Image


class BlipCaptioner:
    """A `BlipForConditionalGeneration` of transformers with its processor."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    @classmethod
    def load(cls, path: str | Path) -> BlipCaptioner:
        """From a folder in the layout of transformers. Raises LaureateError when it is not one."""
        from safetensors import SafetensorError
        from transformers import BlipForConditionalGeneration, BlipProcessor

        missing = [name for name in ("config.json", "model.safetensors") if not (Path(path) / name).is_file()]
        if missing:
            raise LaureateError(
                f"{Path(path) / missing[0]} is missing: prepare.blip must name a folder with a BLIP model "
                "(config.json, model.safetensors, its tokenizer); or set prepare.captioner to clip"
            )
        options: dict[str, Any] = {"local_files_only": True}
        try:
            model = BlipForConditionalGeneration.from_pretrained(path, use_safetensors=True, **options)
            processor = BlipProcessor.from_pretrained(path, **options)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            why = " ".join(str(error).split())[:200]
            raise LaureateError(f"{path} is not a BLIP captioner that transformers can load: {why}") from None
        return cls(model.eval().to(device.pick()), processor)

    def caption(self, picture: Image, style: str) -> str:
        """An RGB picture of any size => one sentence that ends in `style`; beam search with three beams."""
        import torch

        asked = self.processor(images=picture, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            tokens = self.model.generate(**asked, max_new_tokens=40, num_beams=3, do_sample=False)
        return sentence(self.processor.decode(tokens[0], skip_special_tokens=True), style)


def sentence(words: str, style: str) -> str:
    """'a man with glasses' => 'A man with glasses, in the style of Nobel Laureate.'"""
    text = " ".join(words.split()).strip(" .,;") or "a person"
    return f"{text[0].upper()}{text[1:]}{f', {style}' if style else ''}."
