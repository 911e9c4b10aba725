"""pack: one warm training step of all ranks in one stack, against PEFT models trained one after the other.

Both sides: the same frozen UNet in the same precision and memory layout, the same ranks, targets, loss,
clipping of gradients and fused AdamW, latents drawn anew from cached moments, cached text. The peer's
adapters are PEFT's own (`unet.add_adapter`), in float32 as PEFT advises; under a bfloat16 base it runs with
autocast and without, and the faster of the two counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import bases, harness

if TYPE_CHECKING:
    import torch

    from benchmarks.peft_peer import PeftModels
    from laureate.training.objective import Draw, Examples
    from laureate.training.pack import Pack

RANKS = [4, 8, 16, 32, 64, 128]
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
PICTURES = 8  # encoded pictures, made up
SIZES = {
    "cpu": [(1, 16), (4, 16), (8, 16), (1, 32), (4, 32)],
    "cuda": [(1, 64), (2, 64), (4, 64), (8, 64), (1, 96), (4, 96)],
}
COLUMNS = {
    "precision": "precision",
    "batch": "batch",
    "latent": "latents",
    "ours_seconds": "ours s",
    "peer_seconds": "PEFT s",
    "ratio": "ratio",
    "ratio_low": "from",
    "ratio_high": "to",
    "share": "ours / limit",
    "peer_share": "PEFT / limit",
    "gradient_error": "gradient error",
    "peer_mode": "peer",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --sizes, --precision."""
    harness.add_common(parser, repeats=15)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument(
        "--sizes", nargs="+", metavar="BATCHxSIDE", help="batch and side of the latents, such as 1x16"
    )
    parser.add_argument("--precision", nargs="+", default=["float32", "auto"], metavar="P")


def run(options: argparse.Namespace) -> None:
    """One row per precision, batch and latent size."""
    from laureate.torch_utils import device

    where = device.pick()
    sizes = sizes_of(options, SIZES[where.type])
    dtypes = list(dict.fromkeys(device.precision(name, where) for name in options.precision))
    limits = {device.name_of(dtype): harness.matrix_rate(where, dtype) for dtype in dtypes}
    rows = []
    for dtype in dtypes:
        for batch, side in sizes:
            rows.append(measure(options, where, dtype, batch, side, limits[device.name_of(dtype)]))
    harness.report("pack", options, rows, COLUMNS, limits=limits)


def sizes_of(options: argparse.Namespace, default: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Batch and side of the latents as asked, `BATCHxSIDE` each; with --quick only the first."""
    asked = [text.split("x") for text in options.sizes or []]
    sizes = [(int(batch), int(side)) for batch, side in asked] or default
    return sizes[:1] if options.quick else sizes


def measure(
    options: argparse.Namespace, where: torch.device, dtype: torch.dtype, batch: int, side: int, limit: float
) -> dict[str, Any]:
    """Both contestants at one size."""
    from benchmarks.peft_peer import MODES
    from laureate.torch_utils import device

    pack, peer, examples = contestants(options.base, options.ranks, where, dtype, batch, side)
    numbers = pack.trainers[0].objective.numbers(examples, 0)
    error = gradient_error(pack, peer, examples, numbers)
    # operations are counted in this thread only
    ours_flops = harness.flops(lambda: [trainer.step(examples, 0) for trainer in pack.trainers])
    peer_flops = harness.flops(lambda: peer.step(examples))
    work: dict[str, Callable[[], Any]] = {"ours": lambda: pack.step(examples, 0)}
    for mode in MODES if device.name_of(dtype) != "float32" else MODES[:1]:
        work[mode] = partial(peer.step, examples, mode)
    seconds = harness.interleaved(work, options.repeats, warm=1 if options.quick else 3)
    best = min(
        (name for name in seconds if name != "ours"),
        key=lambda name: sorted(seconds[name])[len(seconds[name]) // 2],
    )
    outcome = harness.against(seconds, "ours", best)
    return {
        "precision": device.name_of(dtype),
        "batch": batch,
        "latent": side,
        "ranks": len(options.ranks),
        **outcome,
        "peer_mode": best,
        "gradient_error": error,
        "flops": ours_flops,
        "peer_flops": peer_flops,
        "share": ours_flops / outcome["ours_seconds"] / limit,
        "peer_share": peer_flops / outcome["peer_seconds"] / limit,
    }


def contestants(
    name: str, ranks: Sequence[int], where: torch.device, dtype: torch.dtype, batch: int, side: int
) -> tuple[Pack, PeftModels, Examples]:
    """Our pack, PEFT's models with the same weights in every adapter, and made-up data for both."""
    import torch

    from benchmarks.peft_peer import PeftModels
    from laureate.config.params import Train
    from laureate.networks.backends import placement
    from laureate.networks.diffusion import noise_schedule
    from laureate.networks.lora.adapter import Adapter
    from laureate.networks.lora.arm import main_arm
    from laureate.training.objective import Objective
    from laureate.training.pack import Pack

    found = bases.find(name)
    settings = Train(batch=batch, targets=TARGETS, warmup=0, schedule="constant", caption_dropout=0.0)
    unet = placement.place_unet(found.unet(), where, dtype)
    examples = data(unet, where, side)
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    process = noise_schedule.from_config(found.scheduler)
    peer = PeftModels(
        [_peer_unet(found, where, dtype) for _ in adapters],
        process.to(where),
        adapters,
        settings,
        found.scaling_factor,
    )
    empty = torch.zeros(1, *examples.text.shape[1:])
    objective = Objective(unet, process, settings, empty, found.scaling_factor)
    pack = Pack(objective, adapters, [main_arm(settings, rank) for rank in ranks])
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # B away from zero, as after some training: or A has no gradient
        for trainer, index in pack.places:
            for layer in trainer.layers.values():
                own = layer.own("b", index)
                own.copy_(0.02 * torch.randn(own.shape, generator=source))
    peer.copy_from(pack.places)
    return pack, peer, examples


def _peer_unet(found: Any, where: torch.device, dtype: torch.dtype) -> Any:
    """A UNet of diffusers' own blocks, with that of its attention processors which is fastest there."""
    from laureate.networks.backends import placement

    unet = found.unet()
    placement.choose_attention(unet, where, dtype)
    return placement.place_unet(unet, where, dtype, "reference")


def data(unet: Any, where: torch.device, side: int) -> Examples:
    """Made-up encoded pictures and captions that fit a UNet."""
    import torch

    from laureate.training.objective import Examples

    source = torch.Generator().manual_seed(0)
    shape = (PICTURES, unet.config.in_channels, side, side)
    text = torch.randn(PICTURES, 77, unet.config.cross_attention_dim, generator=source)
    return Examples(
        mean=torch.randn(shape, generator=source).to(where),
        logvar=torch.full(shape, -6.0, device=where),
        text=text.to(where, unet.dtype),
    )


def gradient_error(pack: Pack, peer: PeftModels, examples: Examples, numbers: Draw) -> float:
    """Largest difference from PEFT's gradients on the same numbers, relative to the largest gradient of its
    tensor; the worst of all adapters and layers. The gradients are taken away again."""
    for trainer in pack.trainers:
        trainer.backward(examples, numbers)
    peer.backward(examples, numbers)
    worst = 0.0
    for number, (trainer, index) in enumerate(pack.places):
        for name, layer in trainer.layers.items():
            a, b = peer.gradients(number, name)
            ours_a, ours_b = layer.gradient("a", index).T, layer.gradient("b", index).T
            for ours, theirs in ((ours_a, a), (ours_b, b)):
                worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
    for trainer in pack.trainers:
        trainer.flat.mark_gradients_stale()
    peer.zero_grad()
    return worst
