"""The frozen networks that benchmarks run on: a base folder, or SD 2.1's exact shape with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.networks.diffusion import base_model

if TYPE_CHECKING:
    import torch

EMBEDDED = Path("models/embedded/base")
SEED = 0  # of random weights
# the configuration of stabilityai/stable-diffusion-2-1, as far as it differs from the defaults of diffusers
UNET = {
    "sample_size": 96,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
VAE = {
    "sample_size": 768,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
TEXT = {
    "vocab_size": 49408,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "projection_dim": 512,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 1,
}
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "clip_sample": False,
}


@dataclass(frozen=True)
class RandomBase(base_model.Base):
    """SD 2.1's shape, made anew in memory, on the device where it will run; nothing is read from disk.

    Its tokenizer is the embedded base's: the same interface, and ids that the larger vocabulary has too.
    """

    def unet(self, dtype: torch.dtype | None = None) -> Any:
        from diffusers import UNet2DConditionModel

        return _made(lambda: UNet2DConditionModel(**UNET), dtype)

    def vae(self, dtype: torch.dtype | None = None) -> Any:
        from diffusers import AutoencoderKL

        return _made(lambda: AutoencoderKL(**VAE), dtype)

    def text_encoder(self, dtype: torch.dtype | None = None) -> Any:
        from transformers import CLIPTextConfig, CLIPTextModel

        return _made(lambda: CLIPTextModel(CLIPTextConfig(**TEXT)), dtype)

    def tokenizer(self) -> Any:
        return base_model.find(EMBEDDED).tokenizer()


def find(name: str) -> base_model.Base:
    """`embedded`, `sd21-random`, or a base folder. Raises LaureateError as `base_model.find` does."""
    if name == "sd21-random":
        return RandomBase(
            folder=Path(name),
            fingerprint=name,
            scheduler=SCHEDULER,
            scaling_factor=0.18215,
            downscale=8,
            files={},
            source="random weights",
        )
    return base_model.find(EMBEDDED if name == "embedded" else name)


def _made(build: Callable[[], Any], dtype: torch.dtype | None) -> Any:
    """A network with the same random weights every time, frozen, in evaluation mode."""
    import torch

    from laureate.torch_utils import device

    with torch.random.fork_rng(), device.pick():
        torch.manual_seed(SEED)
        made = build()
    move: Any = torch.nn.Module.to  # diffusers' own warns about a lower precision
    return move(made, dtype or torch.float32).eval().requires_grad_(False)
