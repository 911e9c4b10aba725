"""Pictures of every arm while they train, as one sheet every `train.preview` steps.

Rows are captions of the held-out portraits, whose embeddings are at hand: no text encoder is loaded. The
first column is the portrait itself, by way of the VAE.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.files import write_bytes
from laureate.training.observer import Observer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from laureate.training.objective import Examples
    from laureate.training.pack import Pack
    from laureate.training.trainer import Trainer

CAPTIONS = 3
STEPS, GUIDANCE = 12, 4.0
MARGIN, LINE = 6, 18  # pixels around a picture, and of a line of text


class Preview(Observer):
    """Draws, with noise of its own, by the weights as they are after a step; changes none of them."""

    def __init__(
        self, pack: Pack, held_out: Examples, vae: Any, scheduler: Mapping[str, Any], folder: Path
    ) -> None:
        """`scheduler`: configuration of the base's scheduler; `folder`: sheets go there, one per step."""
        self.pack, self.held_out, self.vae = pack, held_out, vae
        self.scheduler, self.folder = dict(scheduler), folder
        self.every = pack.train.preview or 0

    def after_step(self, step: int) -> None:
        """Write preview-STEP.png where `step` is a multiple of `train.preview`."""
        if self.every and step % self.every == 0:
            names = ["held out", *(f"rank {arm.rank}\n{arm.name}".strip() for arm in self.pack.arms)]
            data = io.BytesIO()
            sheet(self.pictures(), names, f"after step {step}").save(data, "PNG")
            write_bytes(self.folder / f"preview-{step:06d}.png", data.getvalue())

    def pictures(self) -> NDArray[Any]:
        """(columns, captions, h, w, 3) uint8: the held-out portraits, then every arm's of their captions."""
        import torch

        from laureate.networks.diffusion import encoding
        from laureate.networks.lora import injection

        shown = min(CAPTIONS, len(self.held_out))
        columns: list[Tensor] = []
        for trainer in self.pack.trainers:
            trainer.flat.refresh()
            scale = trainer.objective.scaling_factor
            if not columns:
                columns.append(encoding.decode(self.vae, self.held_out.mean[:shown] * scale, scale))
            # only the first step starts from the same
            with torch.no_grad(), injection.unshared(trainer.objective.unet):
                drawn = encoding.decode(self.vae, self._latents(trainer, shown), scale)
            columns += drawn.chunk(len(trainer.adapters))
        return torch.stack(columns).numpy()

    def _latents(self, trainer: Trainer, shown: int) -> Tensor:
        """(R * shown, c, h, w), adapter by adapter: DDIM (Song et al. 2020, arXiv:2010.02502) with
        classifier-free guidance. The noise is the same for every arm and step."""
        import torch
        from diffusers import DDIMScheduler

        from laureate.torch_utils import rng

        objective, count = trainer.objective, len(trainer.adapters)
        solver = DDIMScheduler.from_config(self.scheduler, clip_sample=False)
        solver.set_timesteps(STEPS, device=objective.device)
        shape = (shown, *self.held_out.mean.shape[1:])
        noise = torch.randn(shape, generator=rng.generator("preview", objective.train.seeds[0]))
        latents = noise.to(objective.device).repeat(count, 1, 1, 1) * solver.init_noise_sigma
        text = self._text(objective.encoder, self.held_out.text[:shown], count)
        nothing = objective.empty.expand(shown, *objective.empty.shape[1:])
        empty = self._text(objective.encoder, nothing, count)
        for t in solver.timesteps:
            noisy, times = latents.to(objective.dtype), t.expand(len(latents))
            with_text, without = (
                objective.unet(noisy, times, encoder_hidden_states=words).sample.float()
                for words in (text, empty)
            )
            latents = solver.step(without + GUIDANCE * (with_text - without), t, latents).prev_sample
        return latents

    @staticmethod
    def _text(encoder: Any, words: Tensor, count: int) -> Tensor:
        """Embeddings or token ids of some captions => embeddings, adapter by adapter."""
        words = words.repeat(count, *[1] * (words.dim() - 1))
        return encoder(words)[0] if encoder else words


def sheet(pictures: NDArray[Any], names: list[str], title: str) -> Any:
    """(columns, rows, h, w, 3) uint8 and a name per column => RGB picture, titled."""
    from PIL import Image, ImageDraw

    columns, rows, height, width = pictures.shape[:4]
    above = 2 + max(name.count("\n") for name in names)  # lines of text
    step_x, step_y, top = width + MARGIN, height + MARGIN, above * LINE + MARGIN
    size = (max(columns * step_x + MARGIN, 200), rows * step_y + top)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 2), title, fill="black")
    for column, name in enumerate(names):
        draw.text((MARGIN + column * step_x, LINE + 2), name, fill="black")
        for row in range(rows):
            place = (MARGIN + column * step_x, top + row * step_y)
            page.paste(Image.fromarray(pictures[column, row]), place)
    return page
