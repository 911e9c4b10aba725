"""Build the models of the embedded world from a config, with random weights.

All are classes of diffusers and transformers, except the vision judge (`judges.vision_net`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laureate.embedded.pretraining.config import Config, Reader, Unet, Vae, Vision
from laureate.embedded.pretraining.drawings import HEADS
from laureate.embedded.pretraining.tokenizer import LENGTH

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPModel, CLIPTextModel

    from laureate.evaluation.judges.vision_net import VisionNet

# CLIP's mean and standard deviation per channel: what its image processor expects by default
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def build_vae(settings: Vae, size: int) -> AutoencoderKL:
    """Pictures (n, 3, size, size) in [-1, 1] <=> latents (n, latent_channels, size/8, size/8)."""
    from diffusers import AutoencoderKL

    blocks = len(settings.channels)
    return AutoencoderKL(
        sample_size=size,
        latent_channels=settings.latent_channels,
        block_out_channels=settings.channels,
        layers_per_block=settings.layers,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=8,
        mid_block_add_attention=False,  # so that crops and whole pictures are encoded alike
    )


def build_text(settings: Reader, tokenizer: Any) -> CLIPTextModel:
    """Token ids (n, 77) => hidden states (n, 77, width)."""
    from transformers import CLIPTextModel

    return CLIPTextModel(_text_config(settings, tokenizer, settings.width))


def _text_config(settings: Reader, tokenizer: Any, projection: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=4 * settings.width,
        projection_dim=projection,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_unet(
    settings: Unet, latent_channels: int, latent_size: int, text_width: int
) -> UNet2DConditionModel:
    """Noisy latents (n, c, s, s), time steps (n,), text (n, 77, text_width) => velocity (n, c, s, s)."""
    from diffusers import UNet2DConditionModel

    blocks = len(settings.channels)
    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=settings.channels,
        layers_per_block=settings.layers,
        down_block_types=("CrossAttnDownBlock2D",) * blocks,
        up_block_types=("CrossAttnUpBlock2D",) * blocks,
        cross_attention_dim=text_width,
        # diffusers reads this as the number of heads, as in Stable Diffusion 2
        attention_head_dim=tuple(width // settings.head_width for width in settings.channels),
        use_linear_projection=True,
        norm_num_groups=32,
    )


def build_unet_of(config: Config) -> UNet2DConditionModel:
    """The UNet that fits the config's VAE and text model."""
    factor = 2 ** (len(config.vae.channels) - 1)
    return build_unet(config.unet, config.vae.latent_channels, config.size // factor, config.reader.width)


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion 2.1's schedule, v-prediction (Salimans and Ho 2022), for training and sampling."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


def build_clip(config: Config, tokenizer: Any) -> CLIPModel:
    """Pictures (n, 3, size, size), normalised as CLIP's, and token ids (n, 77) => (n, projection) each."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    settings = config.clip
    vision = CLIPVisionConfig(
        hidden_size=settings.width,
        intermediate_size=4 * settings.width,
        projection_dim=settings.projection,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        image_size=config.size,
        patch_size=settings.patch,
    )
    return CLIPModel(
        CLIPConfig(
            text_config=_text_config(config.reader, tokenizer, settings.projection).to_dict(),
            vision_config=vision.to_dict(),
            projection_dim=settings.projection,
        )
    )


def build_clip_processor(size: int) -> Any:
    """The image processor of the CLIPModel: resize, CLIP's mean and standard deviation."""
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(
        size={"height": size, "width": size}, do_center_crop=False, image_mean=CLIP_MEAN, image_std=CLIP_STD
    )


def build_vision(settings: Vision, size: int) -> VisionNet:
    """The vision judge; see `laureate.evaluation.judges.vision_net`."""
    from laureate.evaluation.judges.vision_net import VisionConfig, VisionNet

    return VisionNet(VisionConfig(size=size, channels=settings.channels, heads=HEADS))
