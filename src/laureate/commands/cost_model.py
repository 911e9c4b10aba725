"""Count floating-point operations and memory of one step on the meta device, without weights or computation.

The real `Trainer` and UNet run there. torch's counter counts the floating-point operations, `LiveBytes` the
bytes of all tensors that exist at the same time.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from laureate.config.params import Train
from laureate.networks.diffusion import noise_schedule
from laureate.networks.lora.adapter import Adapter
from laureate.networks.lora.arm import Arm
from laureate.training.objective import Examples, Objective
from laureate.training.trainer import Trainer

Configs = Mapping[str, Mapping[str, Any]]  # part => its configuration; `scheduler` too
TOKENS = 77
LARGE = 32 << 20  # bytes from which glibc maps a block of its own and returns it when it is freed
FRAGMENTATION = 1.5  # memory of small tensors over their bytes, see `Cost.memory`
KERNELS = 50 << 20  # bytes that the CPU's libraries allocate when they are first used


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of one step."""

    flops: int  # a multiplication and an addition count as two
    weights: int  # bytes that stay: the frozen base, the adapters, their gradients and moments
    temporary: int  # peak bytes of all other tensors
    large: int  # part of these in tensors of LARGE and more
    adapted: int = 0  # weights of the adapters, as they are exported
    padding: int = 0  # additional bytes of `weights` on a GPU: see `device_rules.adapter_runs`

    def memory(self, where: str, process: int) -> int:
        """Bytes on a `cpu` or `cuda` device; the process takes `process` bytes before it loads a model.

        The allocator of a CPU process leaves holes between small tensors: FRAGMENTATION was fitted to
        measurements of several networks and batches, which docs/sd21.md lists. The GPU's rounds sizes up.
        """
        if where == "cuda":
            return process + self.weights + self.padding + int(1.1 * self.temporary)
        return (
            process + KERNELS + self.weights + self.large + int(FRAGMENTATION * (self.temporary - self.large))
        )


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations have made and that still exist."""

    def __init__(self, excluded: Sequence[torch.Tensor] = ()) -> None:
        """`excluded`: tensors whose memory does not count."""
        super().__init__()
        self._excluded = {tensor.untyped_storage()._cdata for tensor in excluded}
        self.now = self.peak = self.large = self.large_at_peak = 0
        self._seen: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._note(value.untyped_storage())
        return result

    def _note(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen or key in self._excluded:
            return

        def gone(_: Any) -> None:
            self.now -= size
            self.large -= size if size >= LARGE else 0
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.large += size if size >= LARGE else 0
        if self.now > self.peak:
            self.peak, self.large_at_peak = self.now, self.large


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
    with counting(unet, attention, excluded) as (flops, live):
        trainer.step(examples, 1)
    weights = [
        trainer.layers[name].weights_of(index) for name in trainer.layers for index in range(len(adapters))
    ]
    padded = sum(layer.a[0].shape[1] + layer.b[0].shape[2] for layer in trainer.layers.values())
    padded *= len(adapters) * max(adapter.rank for adapter in adapters)
    return Cost(
        flops=flops.get_total_flops(),
        weights=size_of(unet) + (size_of(encoder) if encoder else 0) + each * held + moments + products,
        temporary=live.peak,
        large=live.large_at_peak,
        adapted=sum(weight.numel() for pair in weights for weight in pair),
        padding=(4 + each + trainer.optimizer.padding_bytes()) * max(0, padded - held),
    )


def between(low: Cost, high: Cost, share: float) -> Cost:
    """Interpolate the cost of a rank at `share` of the way from `low` (0) to `high` (1).

    Every count is linear in the rank.
    """
    values = ((getattr(low, each.name), getattr(high, each.name)) for each in fields(Cost))
    return Cost(*(round(a + share * (b - a)) for a, b in values))


def drawing(configs: Configs, batch: int, resolution: int, dtype: torch.dtype, attention: str) -> Cost:
    """The cost of one UNet call without gradients; with guidance, `batch` is two per picture."""
    unet = model(configs, "unet", dtype)
    side, width = resolution // downscale(configs), int(configs["text_encoder"]["hidden_size"])
    with counting(unet, attention) as (flops, live), torch.no_grad():
        unet(
            torch.empty(batch, int(configs["unet"]["in_channels"]), side, side, dtype=dtype, device="meta"),
            torch.empty(batch, dtype=torch.long, device="meta"),
            encoder_hidden_states=torch.empty(batch, TOKENS, width, dtype=dtype, device="meta"),
        )
    return Cost(flops.get_total_flops(), size_of(unet), live.peak, live.large_at_peak)


def reading(configs: Configs, batch: int, dtype: torch.dtype) -> int:
    """Operations of the text encoder for `batch` captions, without gradients."""
    encoder = model(configs, "text_encoder", dtype)
    with counting(encoder, "fused") as (flops, _), torch.no_grad():
        encoder(torch.empty(batch, TOKENS, dtype=torch.int64, device="meta"))
    return flops.get_total_flops()


def coding(configs: Configs, batch: int, resolution: int, way: str) -> Cost:
    """The cost of the VAE for `batch` pictures in float32; `way`: `encode` or `decode`."""
    vae = model(configs, "vae", torch.float32)
    side, shape = resolution // downscale(configs), {"encode": 3, "decode": configs["vae"]["latent_channels"]}
    edge = resolution if way == "encode" else side
    with counting(vae, "fused") as (flops, live), torch.no_grad():
        pictures = torch.empty(batch, shape[way], edge, edge, device="meta")
        getattr(vae, way)(pictures)
    return Cost(flops.get_total_flops(), size_of(vae), live.peak, live.large_at_peak)


@contextmanager
def counting(
    net: Any, attention: str, excluded: Sequence[Any] = ()
) -> Iterator[tuple[FlopCounterMode, LiveBytes]]:
    """Count the operations and bytes of the block, with the attention that the device would use.

    The weights of `net` and the `excluded` tensors do not count.
    """
    from diffusers.models.attention_processor import AttnProcessor

    if attention == "plain" and hasattr(net, "set_attn_processor"):
        net.set_attn_processor(AttnProcessor())
    flops, live = counter(), LiveBytes([*net.parameters(), *net.buffers(), *excluded])
    with fused_on_meta(), flops, live:
        yield flops, live


def counter() -> FlopCounterMode:
    """torch's counter of operations, extended by the convolutions with packed weights."""

    def packed(x: Sequence[int], weight: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
        return conv_flop_count(list(x), list(weight), list(out_shape))

    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_convolution: packed})


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
