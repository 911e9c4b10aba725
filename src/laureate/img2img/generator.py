"""Draws portraits from photos with the study's models, and keeps them loaded: for `portrait`, `serve`, `app`.

Photos come as bytes and are not kept, written or logged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.config.params import Params
from laureate.core.errors import LaureateError, ParameterError
from laureate.core.paths import ADAPTER_WEIGHTS, ADAPTERS, DATASET
from laureate.core.system_files import is_system_file
from laureate.formats.pictures import read_picture
from laureate.imaging import paper, png
from laureate.img2img import pipeline
from laureate.img2img.photo import Photo
from laureate.img2img.pipeline import Settings
from laureate.networks.diffusion import base_model

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.img2img.captioner import Captioner

NOTE = "generated: a portrait drawn from a photo by a diffusion model"
BASELINE = "baseline"


@dataclass(frozen=True)
class Portrait:
    """A portrait and how it was made."""

    picture: Image  # RGB
    record: dict[str, Any]  # what `metadata` in docs/portrait.md lists; holds no path and no photo

    def png(self) -> bytes:
        """The picture as PNG with the record in it."""
        return png.encode(self.picture, NOTE, self.record)


class PortraitGenerator:
    """The base, one model at a time with its adapter merged, the captioner, the paper; and a lock."""

    def __init__(
        self,
        params: Params,
        control: str | Path | None = None,
        found: base_model.Base | None = None,
    ) -> None:
        """Verify the base, unless it is given as `found`. `control`: a folder with a ControlNet.

        Raises LaureateError as `base_model.expected` does, and for a folder without a ControlNet.
        """
        self.params, self.control = params, control
        self.found = found or base_model.expected(params.base)
        if control is not None:
            check_control(control)
        self._pipe: tuple[str, Any] | None = None
        self._captioner: Captioner | None = None
        self._paper: paper.Colour | None = None
        self._lock = threading.Lock()

    @property
    def models(self) -> list[str]:
        """`baseline` and the adapters of the study that have been trained."""
        return [BASELINE, *(n for n in self.params.adapters if (ADAPTERS / n / ADAPTER_WEIGHTS).is_file())]

    @property
    def default(self) -> str:
        """The selected adapter, or the first that has been trained, or the base."""
        known = self.models
        return self.params.selected if self.params.selected in known else known[1] if known[1:] else BASELINE

    @property
    def multiple(self) -> int:
        """What the sides of a portrait must be a multiple of: the UNet halves latents at every level."""
        config = base_model.read_json(self.found.folder / "unet" / "config.json")
        return int(self.found.downscale * 2 ** (len(config["block_out_channels"]) - 1))

    @property
    def paper_colour(self) -> paper.Colour:
        """The colour of the training portraits' paper. Raises LaureateError where there is no data set."""
        if self._paper is None:
            self._paper = paper_of(DATASET)
        return self._paper

    def check(self, model: str) -> None:
        """Raise an error, before anything is loaded, for a model that is unknown, untrained or foreign."""
        from laureate.sampling.pipeline import check_adapter

        known = [BASELINE, *self.params.adapters]
        if model not in known:
            raise ParameterError(f"--model {model} is unknown: choose one of {', '.join(known)}")
        if model != BASELINE:
            check_adapter(self._weights(model)[0], self.found)

    def _weights(self, model: str) -> tuple[Path, float]:
        """The folder and the strength of the weights that were chosen for a rank."""
        from laureate.sampling.choosing import choice

        return choice.weights_of(self.params, model)

    def caption(self, photo: Photo) -> str:
        """What a photo shows, as a prompt."""
        with self._lock:
            return self._captions()(photo.picture)

    def warm_up(self) -> None:
        """Load what the first caption needs."""
        with self._lock:
            self._captions()

    def settings(self, prompt: str, **given: Any) -> Settings:
        """The study's settings of `sample`, but at least `Settings.steps`, with those of `given` that are not
        None.

        Raises LaureateError as `Settings.check` does.
        """
        own = self.params.sample
        steps = max(own.steps, Settings.steps)  # only a share of them is run
        usual = Settings(prompt, guidance=own.guidance, steps=steps, negative=own.negative_prompt)
        wanted = replace(usual, **{key: value for key, value in given.items() if value is not None})
        wanted.check()
        return wanted

    def draw(
        self,
        photo: Photo,
        model: str,
        settings: Settings,
        seeds: list[int],
        on_step: Callable[[], None] | None = None,
    ) -> list[Portrait]:
        """One portrait per seed. `on_step` is called after each of the `settings.run` steps of a portrait.

        Raises LaureateError as `check` and `pipeline.draw` do.
        """
        settings.check()
        self.check(model)
        with self._lock:
            lines = paper.line_art(photo.start) if self.control is not None else None
            drawn = pipeline.draw(
                self._loaded(model), photo.start, photo.sha256, settings, seeds, lines, on_step
            )
        return [
            Portrait(picture, self._record(photo, model, settings, seed, picture))
            for picture, seed in zip(drawn, seeds, strict=True)
        ]

    def _captions(self) -> Captioner:
        if self._captioner is None:
            from laureate.img2img.captioner import Captioner

            self._captioner = Captioner(self.params.prepare)
        return self._captioner

    def _record(
        self, photo: Photo, model: str, settings: Settings, seed: int, picture: Image
    ) -> dict[str, Any]:
        from laureate.core.files import sha256_file

        adapter = None if model == BASELINE else sha256_file(self._weights(model)[0] / ADAPTER_WEIGHTS)
        wanted = asdict(settings)
        control = {key: wanted.pop(key) for key in ("control_scale", "control_end")}
        return {
            "generated": True,
            "note": NOTE,
            "version": __version__,
            "photo": {"sha256": photo.sha256, "square": photo.square, "ground": photo.ground},
            "start": photo.tones,
            "base": {"sha256": self.found.fingerprint, "source": self.found.source},
            "adapter": {"name": model, "sha256": adapter},
            "control": None if self.control is None else control,
            **wanted,
            "steps_run": settings.run,
            "scheduler": self.params.sample.scheduler,
            "seed": seed,
            "size": list(picture.size),
            "paper": {
                "colour": list(self.paper_colour),
                "distance": round(paper.distance(picture, self.paper_colour), 2),
            },
        }

    def _loaded(self, model: str) -> Any:
        """The pipeline of a model, float32; the one before is let go."""
        import torch

        from laureate.networks.backends import placement
        from laureate.networks.lora import adapter_files
        from laureate.networks.lora.adapter import TEXT
        from laureate.sampling import sampler
        from laureate.torch_utils import device

        if self._pipe is None or self._pipe[0] != model:
            self._pipe = None
            where, found = device.pick(), self.found
            unet, encoder = found.unet(), found.text_encoder()
            if model != BASELINE:
                state, adapter = adapter_files.load(*self._weights(model))
                adapter_files.merge(unet, state, adapter)
                adapter_files.merge(encoder, state, adapter, TEXT)
            pipe = pipeline.build(
                placement.place_unet(unet, where, torch.float32, kernels="reference"),
                encoder.to(where),
                found.tokenizer(),
                placement.place(found.vae(), where, torch.float32, channels_last=False),
                sampler.solver(found.scheduler, self.params.sample.scheduler),
                None if self.control is None else load_control(self.control).to(where),
            )
            self._pipe = model, pipe
        return self._pipe[1]


def check_control(folder: str | Path) -> None:
    """Raise LaureateError for a folder without a ControlNet's files."""
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        if not (Path(folder) / name).is_file():
            raise LaureateError(f"{folder} holds no ControlNet in the layout of diffusers: {name} is missing")


def load_control(folder: str | Path) -> Any:
    """The ControlNetModel in a folder, float32. Raises LaureateError where it cannot be loaded."""
    from diffusers import ControlNetModel

    try:
        net = ControlNetModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise LaureateError(f"{folder} cannot be loaded as a ControlNet: {why}") from None
    return net.eval().requires_grad_(False)


def paper_of(dataset: Path) -> paper.Colour:
    """The paper of the training portraits: the median of their corners. Raises LaureateError without any."""
    files = sorted(file for file in (dataset / "train").glob("*.png") if not is_system_file(file.name))
    try:
        return paper.colour(read_picture(file, "run `laureate prepare`") for file in files)
    except ValueError:
        raise LaureateError(
            f"{dataset / 'train'} has no portraits, of which the colour of the paper is taken: run "
            "`laureate prepare`"
        ) from None
