"""Draw one prompt at a time with the base or an adapter, networks kept loaded: for `draw`, `serve`, `app`."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.paths import ADAPTER_WEIGHTS, ADAPTERS
from laureate.formats import prompts
from laureate.imaging import png
from laureate.networks.diffusion import base_model, prompt_length
from laureate.sampling import pipeline
from laureate.sampling.choosing import choice

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config.params import Sample

MODELS_IN_MEMORY = 2  # the base or an adapter, merged
BASELINE = "baseline"
NOTE = "generated: a picture drawn from a prompt by a diffusion model"
MOST_STEPS, MOST_GUIDANCE, MOST_STRENGTH = 200, 30.0, 2.0


@dataclass(frozen=True)
class Settings:
    """How a picture is drawn, beside model, prompt and seed. `check` says what is wrong with it."""

    guidance: float
    steps: int
    strength: float | None = None  # of the adapter's update; 0 is the base; None: the chosen one of its rank

    def check(self) -> None:
        """Raise LaureateError for values outside their range."""
        if not 1 <= self.guidance <= MOST_GUIDANCE:
            raise LaureateError(f"guidance is {self.guidance:g}: it must be from 1 to {MOST_GUIDANCE:g}")
        if not 1 <= self.steps <= MOST_STEPS:
            raise LaureateError(f"steps is {self.steps}: it must be from 1 to {MOST_STEPS}")
        if self.strength is not None and not 0 <= self.strength <= MOST_STRENGTH:
            raise LaureateError(f"strength is {self.strength:g}: it must be from 0 to {MOST_STRENGTH:g}")


class Generator:
    """Draws with the base and the trained adapters of a study; a lock lets one request draw at a time.

    A model is `baseline`, `rank-16`, which stands for the weights and the strength that `choose` chose, or a
    folder below an adapter's that has weights too, such as `rank-16/step-80`.
    """

    def __init__(self, params: Params) -> None:
        """Verify the base. Raises LaureateError as `base.find` does."""
        self.params = params
        self.found = base_model.expected(params.base)
        self.ids = {prompt.text: prompt.id for prompt in prompts.load(params.sample.prompts)}
        self._models: OrderedDict[tuple[str, float], tuple[Any, Any]] = OrderedDict()  # UNet and text encoder
        self._parts: tuple[Any, Any, Any] | None = None  # tokenizer, text encoder, VAE
        self._lock = threading.Lock()

    @property
    def models(self) -> list[str]:
        """`baseline` and the adapters of the study that have been trained."""
        return [BASELINE, *(n for n in self.params.adapters if (ADAPTERS / n / ADAPTER_WEIGHTS).is_file())]

    def variants(self, model: str) -> list[str]:
        """An adapter and the further ones in its folder: of other training seeds, rates or steps."""
        if model == BASELINE:
            return [BASELINE]
        files = (ADAPTERS / model).rglob(ADAPTER_WEIGHTS)
        folders = sorted(file.parent.relative_to(ADAPTERS).as_posix() for file in files)
        return sorted(folders, key=lambda name: name != model)

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be a multiple of: the UNet halves latents at every level."""
        import json

        config = json.loads((self.found.folder / "unet" / "config.json").read_text(encoding="utf-8"))
        return int(self.found.downscale * 2 ** (len(config["block_out_channels"]) - 1))

    def settings(self, **given: float | None) -> Settings:
        """The study's settings of `sample`, with those of `given` that are not None.

        Raises LaureateError as `Settings.check` does.
        """
        own = self.params.sample
        wanted = {key: value for key, value in given.items() if value is not None}
        settings = replace(Settings(own.guidance, own.steps), **wanted)  # type: ignore[arg-type]
        settings.check()
        return settings

    def check(self, model: str) -> None:
        """Raise LaureateError, before anything is loaded, for an unknown, untrained or foreign model."""
        rank = model.partition("/")[0]
        if rank not in self.models or model not in self.variants(rank):
            raise LaureateError(f"there is no model {model!r}; choose one of {', '.join(self.models)}")
        if model != BASELINE:
            pipeline.check_adapter(choice.weights_of(self.params, model)[0], self.found)

    def strength(self, model: str, settings: Settings | None = None) -> float:
        """The strength that a model is drawn with: that of `settings`, else the chosen one of its rank."""
        if settings is not None and settings.strength is not None:
            return settings.strength
        return 1.0 if model == BASELINE else choice.weights_of(self.params, model)[1]

    def draw(
        self,
        model: str,
        text: str,
        seeds: list[int],
        size: tuple[int, int],
        settings: Settings | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Image]:
        """One RGB picture of `size` (width, height) per seed, with the study's settings by default.

        The starting noise is that of `laureate sample`, so a prompt of the study with one of its seeds at its
        resolution gives the picture of data/samples, but for the rounding of another batch size. `on_step` is
        called after every step; an error that it raises ends the drawing. Raises LaureateError as `check`.
        """
        import torch

        settings = settings or self.settings()
        own: Sample = self.params.sample.model_copy(
            update={"guidance": settings.guidance, "steps": settings.steps}
        )
        with self._lock:
            (unet, encoder), (tokenizer, _, vae) = (
                self._model(model, self.strength(model, settings)),
                self._shared(),
            )
            (states,), negatives = pipeline.conditions(tokenizer, encoder, [text], own)
            shape = (unet.config.in_channels, *(side // self.found.downscale for side in reversed(size)))
            noise = [pipeline.starting_noise(self.ids.get(text, text), seed, shape) for seed in seeds]
            batches = pipeline.solve(
                self.found,
                unet,
                states.expand(len(seeds), -1, -1),
                negatives[len(states)],
                torch.stack(noise),
                own,
                min(own.batch, len(seeds)),
                on_step,
            )
            return [picture for batch in batches for picture in pipeline.pictures_of(self.found, vae, batch)]

    def png(
        self, picture: Image, model: str, text: str, seed: int, settings: Settings | None = None
    ) -> bytes:
        """A picture that `draw` gave as PNG, with all that it was drawn with in its texts."""
        settings, own = settings or self.settings(), self.params.sample
        base = model == BASELINE
        record = {
            "generated": True,
            "note": NOTE,
            "version": __version__,
            "base": {"sha256": self.found.fingerprint, "source": self.found.source},
            "adapter": {
                "name": model,
                "sha256": None if base else sha256_file(self._weights(model) / ADAPTER_WEIGHTS),
                "strength": None if base else self.strength(model, settings),
            },
            "prompt": text,
            "negative": own.negative_prompt,
            "guidance": settings.guidance,
            "guidance_interval": own.guidance_interval,
            "steps": settings.steps,
            "scheduler": own.scheduler,
            "seed": seed,
            "size": list(picture.size),
        }
        return png.encode(picture, NOTE, record)

    def read(self, text: str) -> tuple[str, str | None]:
        """What the text encoder reads of a prompt, and a sentence on the rest; None if all is read."""
        with self._lock:
            tokenizer = self._shared()[0]
            if self.params.sample.long_prompts == "chunks":
                return text, None
            cut = prompt_length.sentence(tokenizer, text, "of this request", self.params.prepare.style)
            return prompt_length.split(tokenizer, text)[0], cut

    def warm_up(self) -> None:
        """Load what the first picture needs: libraries, VAE, text encoder, the base."""
        with self._lock:
            self._model(BASELINE, 1.0)

    def _model(self, model: str, strength: float = 1.0) -> tuple[Any, Any]:
        """UNet and text encoder of a model, its adapter merged; the model not used for longest is let go.

        The base's text encoder is shared by all that do not change it.
        """
        from laureate.networks.lora import adapter_files
        from laureate.networks.lora.adapter import TEXT

        key = (model, 1.0 if model == BASELINE else strength)
        if key not in self._models:
            self.check(model)
            while len(self._models) >= MODELS_IN_MEMORY:
                self._models.popitem(last=False)
            loaded, encoder = None, self._shared()[1]
            if model != BASELINE:
                loaded = adapter_files.load(self._weights(model), strength)
                if adapter_files.has(loaded[0], TEXT):
                    encoder = pipeline.load_text_encoder(self.found, loaded)
            self._models[key] = pipeline.load_unet(self.found, loaded, self.params.sample), encoder
        self._models.move_to_end(key)
        return self._models[key]

    def _weights(self, model: str) -> Path:
        """The folder of a model's weights."""
        return choice.weights_of(self.params, model)[0]

    def _shared(self) -> tuple[Any, Any, Any]:
        """Tokenizer, text encoder and VAE of the base, loaded when the first picture is asked for."""
        if self._parts is None:
            encoder = pipeline.load_text_encoder(self.found, None)
            self._parts = self.found.tokenizer(), encoder, pipeline.load_vae(self.found)
        return self._parts


def file_name(prompt: str, model: str, seed: int) -> str:
    """The name of a picture's file, by the start of the prompt's SHA-256, the model and the seed."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{digest[:12]}-{model.replace('/', '-')}-{seed}.png"
