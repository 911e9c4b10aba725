"""Count floating-point operations and memory of one step on the meta device, without weights or computation.

The real `Trainer` and UNet run there, and `CountedOnce` counts.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from laureate.commands.operation_counts import CountedOnce
from laureate.commands.step_cost import Cost
from laureate.config.params import Train
from laureate.networks.diffusion import noise_schedule
from laureate.networks.lora.adapter import Adapter
from laureate.networks.lora.arm import Arm
from laureate.training.objective import Examples, Objective
from laureate.training.trainer import Trainer

Configs = Mapping[str, Mapping[str, Any]]  # as in base_costs
TOKENS = 77


def import_networks() -> None:
    """Import what counting and training import."""
    importlib.import_module("diffusers.models.unets.unet_2d_condition")


def model(configs: Configs, part: str, dtype: torch.dtype) -> Any:
    """A part of a base on the meta device, frozen."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        if part == "text_encoder":
            made: Any = CLIPTextModel(CLIPTextConfig(**configs[part]))
        else:
            kind: Any = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[part]
            made = kind.from_config(dict(configs[part]))
    return torch.nn.Module.to(made.eval().requires_grad_(False), dtype=dtype)


def training(
    configs: Configs,
    adapters: Sequence[Adapter],
    train: Train,
    resolution: int,
    dtype: torch.dtype,
    attention: str,
    arms: Sequence[Arm] | None = None,
) -> Cost:
    """The cost of one update of a pack of adapters.

    `attention`: `plain` keeps its matrices in memory, `fused` does not. `arms`: see `Trainer`.
    """
    unet, encoder = model(configs, "unet", dtype), None
    side = resolution // downscale(configs)
    channels, width = int(configs["unet"]["in_channels"]), int(configs["text_encoder"]["hidden_size"])
    text = torch.empty(1, TOKENS, width, dtype=dtype, device="meta")
    if train.text_encoder:
        encoder = model(configs, "text_encoder", dtype)
        text = torch.empty(1, TOKENS, dtype=torch.int64, device="meta")
    process, train = (
        noise_schedule.from_config(configs["scheduler"]),
        train.model_copy(update={"compile": "none"}),
    )
    seeds = list(dict.fromkeys(arm.seed for arm in arms or ()))
    trainer = Trainer(
        Objective(unet, process, train, text, 1.0, encoder=encoder, seeds=seeds), adapters, arms
    )
    examples = Examples(
        mean=torch.empty(1, channels, side, side, device="meta"),
        logvar=torch.empty(1, channels, side, side, device="meta"),
        text=text,
    )
    trainer.restore(trainer.state(), 1)  # creates the optimiser's moments, as after one update
    held = sum(weight.numel() for weight in trainer.flat.weights)
    # bytes of a weight's gradient and copy in the base's precision
    each = 4 + (0 if dtype == torch.float32 else dtype.itemsize)
    moments = sum(tensor.nbytes for tensor in trainer.optimizer.tensors())
    products = sum(tensor.nbytes for group in trainer.flat.groups for tensor in group.tensors)
    excluded = [*trainer.optimizer.tensors(), *trainer.flat.tensors]
    if encoder is not None:
        excluded += [*encoder.parameters(), *encoder.buffers()]
        encoder.set_attn_implementation("eager" if attention == "plain" else "sdpa")
    with counting(unet, attention, excluded) as counted:
        trainer.step(examples, 1)
    weights = [
        trainer.layers[name].weights_of(index) for name in trainer.layers for index in range(len(adapters))
    ]
    padded = sum(layer.a[0].shape[1] + layer.b[0].shape[2] for layer in trainer.layers.values())
    padded *= len(adapters) * max(adapter.rank for adapter in adapters)
    return Cost(
        flops=counted.flops,
        weights=size_of(unet) + (size_of(encoder) if encoder else 0) + each * held + moments + products,
        temporary=counted.peak,
        large=counted.large_at_peak,
        adapted=sum(weight.numel() for pair in weights for weight in pair),
        padding=(4 + each + trainer.optimizer.padding_bytes()) * max(0, padded - held),
    )


def drawing(configs: Configs, batch: int, resolution: int, dtype: torch.dtype, attention: str) -> Cost:
    """The cost of one UNet call without gradients; with guidance, `batch` is two per picture."""
    unet = model(configs, "unet", dtype)
    side, width = resolution // downscale(configs), int(configs["text_encoder"]["hidden_size"])
    with counting(unet, attention) as counted, torch.no_grad():
        unet(
            torch.empty(batch, int(configs["unet"]["in_channels"]), side, side, dtype=dtype, device="meta"),
            torch.empty(batch, dtype=torch.long, device="meta"),
            encoder_hidden_states=torch.empty(batch, TOKENS, width, dtype=dtype, device="meta"),
        )
    return Cost(counted.flops, size_of(unet), counted.peak, counted.large_at_peak)


def reading(configs: Configs, batch: int, dtype: torch.dtype) -> int:
    """Operations of the text encoder for `batch` captions, without gradients."""
    encoder = model(configs, "text_encoder", dtype)
    with counting(encoder, "fused") as counted, torch.no_grad():
        encoder(torch.empty(batch, TOKENS, dtype=torch.int64, device="meta"))
    return counted.flops


def coding(configs: Configs, batch: int, resolution: int, way: str) -> Cost:
    """The cost of the VAE for `batch` pictures in float32; `way`: `encode` or `decode`."""
    vae = model(configs, "vae", torch.float32)
    side, shape = resolution // downscale(configs), {"encode": 3, "decode": configs["vae"]["latent_channels"]}
    edge = resolution if way == "encode" else side
    with counting(vae, "fused") as counted, torch.no_grad():
        pictures = torch.empty(batch, shape[way], edge, edge, device="meta")
        getattr(vae, way)(pictures)
    return Cost(counted.flops, size_of(vae), counted.peak, counted.large_at_peak)


@contextmanager
def counting(net: Any, attention: str, excluded: Sequence[Any] = ()) -> Iterator[CountedOnce]:
    """Count the operations and bytes of the block, with the attention that the device would use.

    The weights of `net` and the `excluded` tensors do not count.
    """
    from diffusers.models.attention_processor import AttnProcessor

    if attention == "plain" and hasattr(net, "set_attn_processor"):
        net.set_attn_processor(AttnProcessor())
    with fused_on_meta(), CountedOnce([*net.parameters(), *net.buffers(), *excluded]) as counted:
        yield counted


@contextmanager
def fused_on_meta() -> Iterator[None]:
    """Use the GPU kernel of fused attention on the meta device.

    torch would choose the kernel that keeps its matrices there.
    """
    functional: Any = torch.nn.functional
    own = functional.scaled_dot_product_attention

    def fused(
        q: Any,
        k: Any,
        v: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **_: Any,
    ) -> Any:
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, dropout_p, is_causal)[0]

    functional.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = own


def downscale(configs: Configs) -> int:
    """Pixels per latent along a side."""
    return int(2 ** (len(configs["vae"]["block_out_channels"]) - 1))


def size_of(net: Any) -> int:
    """Bytes of the weights of a network."""
    return sum(weight.numel() * weight.element_size() for weight in net.parameters())
