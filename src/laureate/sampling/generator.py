"""Draw one prompt at a time with the base or an adapter, and keep their networks loaded, for `serve`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_WEIGHTS, ADAPTERS
from laureate.formats import prompts
from laureate.networks.diffusion import base_model, encoding, prompt_length
from laureate.sampling import pipeline

if TYPE_CHECKING:
    from PIL.Image import Image

MODELS_IN_MEMORY = 2  # the base or an adapter, merged


class Generator:
    """Draws with the base and the trained adapters of a study; a lock lets one request draw at a time."""

    def __init__(self, params: Params) -> None:
        """Verify the base. Raises LaureateError as `base.find` does."""
        self.params = params
        self.found = base_model.expected(params.base)
        self.ids = {prompt.text: prompt.id for prompt in prompts.load(params.sample.prompts)}
        self._models: OrderedDict[str, tuple[Any, Any]] = OrderedDict()  # UNet and text encoder
        self._parts: tuple[Any, Any, Any] | None = None  # tokenizer, text encoder, VAE
        self._lock = threading.Lock()

    @property
    def models(self) -> list[str]:
        """`baseline` and the adapters of the study that have been trained."""
        return ["baseline", *(n for n in self.params.adapters if (ADAPTERS / n / ADAPTER_WEIGHTS).is_file())]

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be a multiple of: the UNet halves latents at every level."""
        import json

        config = json.loads((self.found.folder / "unet" / "config.json").read_text(encoding="utf-8"))
        return int(self.found.downscale * 2 ** (len(config["block_out_channels"]) - 1))

    def draw(self, model: str, text: str, seeds: list[int], size: tuple[int, int]) -> list[Image]:
        """One RGB picture of `size` (width, height) per seed.

        The starting noise is that of `laureate sample`, so a prompt of the study with one of its seeds at its
        resolution gives the picture of data/samples, but for the rounding of another batch size.
        """
        import torch

        settings = self.params.sample
        with self._lock:
            (unet, encoder), (tokenizer, _, vae) = self._model(model), self._shared()
            embedded = encoding.embed(tokenizer, encoder, [settings.negative_prompt, text])
            shape = (unet.config.in_channels, *(side // self.found.downscale for side in reversed(size)))
            noise = [pipeline.starting_noise(self.ids.get(text, text), seed, shape) for seed in seeds]
            batches = pipeline.solve(
                self.found,
                unet,
                embedded[1:].expand(len(seeds), -1, -1),
                embedded[:1],
                torch.stack(noise),
                settings,
                min(settings.batch, len(seeds)),
            )
            return list(pipeline.decode(self.found, vae, batches))

    def read(self, text: str) -> tuple[str, str | None]:
        """What the text encoder reads of a prompt, and a sentence on the rest; None if all is read."""
        with self._lock:
            tokenizer = self._shared()[0]
            cut = prompt_length.sentence(tokenizer, text, "of this request", self.params.prepare.style)
            return prompt_length.split(tokenizer, text)[0], cut

    def _model(self, model: str) -> tuple[Any, Any]:
        """UNet and text encoder of a model, its adapter merged; the model not used for longest is let go.

        The base's text encoder is shared by all that do not change it.
        """
        from laureate.networks.lora import adapter_files
        from laureate.networks.lora.adapter import TEXT

        if model not in self._models:
            if model not in self.models:
                raise LaureateError(f"there is no model {model!r}; choose one of {', '.join(self.models)}")
            while len(self._models) >= MODELS_IN_MEMORY:
                self._models.popitem(last=False)
            loaded, encoder = None, self._shared()[1]
            if model != "baseline":
                pipeline.check_adapter(ADAPTERS / model, self.found)
                loaded = adapter_files.load(ADAPTERS / model, self.params.sample.strength)
                if adapter_files.has(loaded[0], TEXT):
                    encoder = pipeline.load_text_encoder(self.found, loaded)
            self._models[model] = pipeline.load_unet(self.found, loaded, self.params.sample), encoder
        self._models.move_to_end(model)
        return self._models[model]

    def _shared(self) -> tuple[Any, Any, Any]:
        """Tokenizer, text encoder and VAE of the base, loaded when the first picture is asked for."""
        if self._parts is None:
            encoder = pipeline.load_text_encoder(self.found, None)
            self._parts = self.found.tokenizer(), encoder, pipeline.load_vae(self.found)
        return self._parts
