"""The prompt of a portrait: what a photo shows, in the words of the training captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config.params import Prepare


class Captioner:
    """Says what a photo shows, in the words of the training captions, by the captioner of `prepare`."""

    def __init__(self, prepare: Prepare) -> None:
        """Load the captioner. Raises LaureateError where its model or the vocabulary is missing."""
        from laureate.evaluation.judges.loading import load_captioning_clip
        from laureate.formats.vocabulary import load_vocabulary

        self.prepare = prepare
        self._blip: Any = None
        if prepare.captioner == "blip":
            from laureate.dataset.blip_captioner import BlipCaptioner

            self._blip = BlipCaptioner.load(prepare.blip)
            return
        from laureate.dataset.clip_captioner import AttributeClassifier

        self.vocabulary = load_vocabulary(prepare.vocabulary)
        self.judge = load_captioning_clip(prepare.clip)
        self.classifier = AttributeClassifier(self.vocabulary, prepare.style, self.judge, prepare.seed)
        self.scale = float(self.judge.model.logit_scale.detach().exp())

    def __call__(self, picture: Image) -> str:
        """An RGB picture => one sentence that ends in `prepare.style`."""
        if self._blip is not None:
            return str(self._blip.caption(picture, self.prepare.style))
        from laureate.dataset.clip_captioner import caption

        answers: Mapping[str, tuple[str, float]] = self.classifier.answers(
            self.judge.pictures([picture])[0], self.scale
        )
        return caption(self.vocabulary, answers, self.prepare.style, self.prepare.confidence)
