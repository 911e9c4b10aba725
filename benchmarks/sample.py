"""sample: the pictures of the base and six adapters, against StableDiffusionPipeline with load_lora_weights.

Ours is what `laureate sample` does after its imports, arm by arm: load the networks anew, embed the prompts
once, merge the adapter, draw in batches. The peer is one pipeline that is loaded once and goes through the
arms, in the same precision, with the same solver and starting noise. With the same steps and guidance: one
picture per call, as the documentation of load_lora_weights shows it, and in our batches; and in our batches
with the steps that the pipeline needs for the same quality (benchmarks/guidance.py) and guidance in all of
them, which is what it has without a callback. `stacked` is no peer but the other way of ours that was tried:
all arms in one batch, their adapters beside the weights instead of merged into them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks import bases, harness
from benchmarks.pack import RANKS, TARGETS

if TYPE_CHECKING:
    from benchmarks.gate import Pairs
    from laureate.config.params import Params, Sample
    from laureate.networks.diffusion.base_model import Base

PEERS = ["one picture per call", "the same batches", "guidance throughout", "stacked"]
RESOLUTION = {"embedded": 128, "sd21-random": 512}
COLUMNS = {
    "peer": "peer",
    "precision": "precision",
    "arms": "arms",
    "pictures": "pictures each",
    "ours_settings": "our steps",
    "peer_settings": "peer's steps",
    "ours_seconds": "ours s",
    "peer_seconds": "peer s",
    "ratio": "ratio",
    "ratio_low": "from",
    "ratio_high": "to",
}
GATE = {
    "precision": "precision",
    "arm": "arm",
    "latent_error": "largest latent error",
    "psnr": "PSNR dB",
    "peer_psnr": "peer's own dB",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --adapters, --pictures, --steps, --interval, --peers, --batch, --resolution, --precision."""
    harness.add_common(parser)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--adapters", type=Path, metavar="DIR", help="rank-N folders; made up without")
    parser.add_argument("--pictures", type=int, default=12, metavar="N", help="per arm (default: 12)")
    parser.add_argument("--steps", type=int, metavar="N", help="default: those of params.yaml")
    parser.add_argument(
        "--interval", type=float, nargs=2, metavar="X", help="of guidance (default: that of params.yaml)"
    )
    parser.add_argument(
        "--throughout", type=int, default=12, metavar="N", help="steps of the peer with guidance"
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, metavar="NAME", help="some only")
    parser.add_argument("--batch", type=int, default=6, metavar="N", help="pictures at once (default: 6)")
    parser.add_argument("--resolution", type=int, metavar="PIXELS")
    parser.add_argument("--precision", default="auto", help="of what is timed (default: auto)")


def run(options: argparse.Namespace) -> None:
    """Time seven arms, then hold the gate for one of them in float32 and in the precision that was timed."""
    from benchmarks import gate
    from laureate.config.params import Params, Prepare, load
    from laureate.formats import prompts
    from laureate.torch_utils import device

    found = bases.find(options.base)
    asked = prompts.load(["data/prompts.yaml", "data/prompts-embedded.yaml"])
    count = 2 if options.quick else options.pictures
    pairs = [(asked[n // 2 % len(asked)], 1001 + n % 2) for n in range(count)]
    resolution = options.resolution or RESOLUTION.get(options.base, 128)
    own = load().sample
    values = {
        "steps": 2 if options.quick else options.steps or own.steps,
        "guidance_interval": options.interval or own.guidance_interval,
        "batch": min(options.batch, count),
        "precision": options.precision,
    }
    settings = own.model_copy(update=values)
    params = Params(sample=settings, prepare=Prepare(resolution=resolution))
    values = {"steps": 2 if options.quick else options.throughout, "guidance_interval": [0.0, 1.0]}
    throughout = params.model_copy(update={"sample": settings.model_copy(update=values)})
    where = device.pick()
    precision = device.name_of(device.precision(options.precision, where))
    with tempfile.TemporaryDirectory() as folder:
        home = options.adapters or made_up(found, options.ranks, Path(folder))
        adapters = [home / f"rank-{rank}" for rank in options.ranks]
        arms: list[Path | None] = [None, *adapters]
        work = {
            "ours": lambda: merged(found, arms, pairs, params),
            "one picture per call": lambda: theirs(found, arms, pairs, params, 1),
            "the same batches": lambda: theirs(found, arms, pairs, params, settings.batch),
            "guidance throughout": lambda: theirs(found, arms, pairs, throughout, settings.batch),
            "stacked": lambda: stacked(found, adapters, pairs, params),
        }
        work = {name: work[name] for name in ["ours", *options.peers]}
        seconds = harness.interleaved(work, options.repeats, warm=0 if where.type == "cpu" else 1)
        rows = [
            {"peer": name, "precision": precision, "arms": len(arms), "pictures": count}
            | described(settings, throughout.sample if name == "guidance throughout" else settings)
            | harness.against(seconds, "ours", name)
            for name in list(work)[1:]
        ]
        held = []
        for asked_for in dict.fromkeys(["float32", precision]):
            here = Params(sample=settings.model_copy(update={"precision": asked_for}), prepare=params.prepare)
            for arm in (arms[0], arms[-1]):
                far = gate.compare(found, arm, pairs[: settings.batch], here, settings.batch)
                held.append({"precision": asked_for, "arm": arm.name if arm else "baseline", **far})
    harness.report("sample", options, rows, COLUMNS, beside={"gate": (held, GATE)})


def described(ours: Sample, peer: Sample) -> dict[str, str]:
    """Steps and interval of guidance of both, in words."""

    def of(own: Sample) -> str:
        low, high = own.guidance_interval
        where = "" if (low, high) == (0, 1) else f", guidance in {low:g} to {high:g}"
        return f"{own.steps}{where}"

    return {"ours_settings": of(ours), "peer_settings": of(peer)}


def made_up(found: Base, ranks: Sequence[int], folder: Path) -> Path:
    """Adapters with random weights, each of which changes the pictures about as much as training does."""
    import torch

    from laureate.networks.lora import adapter_files, injection
    from laureate.networks.lora.adapter import Adapter

    for rank in ranks:
        adapter = Adapter(rank, float(rank))
        layers = injection.attach(found.unet(), [adapter], TARGETS, seed=0)
        source = torch.Generator().manual_seed(rank)
        with torch.no_grad():
            for layer in layers.values():
                own = layer.own("b", 0)
                own.copy_(torch.randn(own.shape, generator=source) * 0.1 * rank**-0.5)
        adapter_files.save(folder / f"rank-{rank}", adapter_files.export(layers, 0), adapter, list(layers))
    return folder


def merged(found: Base, arms: Sequence[Path | None], pairs: Pairs, params: Params) -> None:
    """Every arm by itself, its adapter merged: what the stages do."""
    from laureate.sampling import pipeline

    for arm in arms:
        for _ in pipeline.draw(found, arm, pairs, params):
            pass


def theirs(found: Base, arms: Sequence[Path | None], pairs: Pairs, params: Params, batch: int) -> None:
    """Every arm with the peer."""
    from benchmarks import gate

    pipe = gate.diffusers_pipeline(found, params)
    for arm in arms:
        gate.draw(pipe, arm, pairs, params, batch)


def stacked(found: Base, adapters: Sequence[Path], pairs: Pairs, params: Params) -> None:
    """The base by itself, then all adapters in one stack: every call of the UNet holds one batch of each."""
    import torch

    from laureate.networks.backends import placement
    from laureate.networks.diffusion import encoding
    from laureate.networks.lora import adapter_files, injection
    from laureate.networks.lora.adapter import PREFIX
    from laureate.sampling import pipeline, sampler
    from laureate.torch_utils import device

    merged(found, [None], pairs, params)
    settings, where = params.sample, device.pick()
    loaded = [adapter_files.load(adapter) for adapter in adapters]
    unet = placement.place_unet(found.unet(), where, device.precision(settings.precision, where))
    layers = injection.attach(unet, [adapter for _, adapter in loaded], TARGETS, seed=0)
    with torch.no_grad():
        for index, (state, _) in enumerate(loaded):
            for name, layer in layers.items():
                layer.own("a", index).copy_(state[f"{PREFIX}{name}.lora_A.weight"].T)
                layer.own("b", index).copy_(state[f"{PREFIX}{name}.lora_B.weight"].T)
    texts = [settings.negative_prompt, *(prompt.text for prompt, _ in pairs)]
    embedded = encoding.embed(found.tokenizer(), found.text_encoder().to(where), texts).to(where)
    side = params.drawn_at // found.downscale
    shape = (unet.config.in_channels, side, side)
    noise = torch.stack([pipeline.starting_noise(prompt.id, seed, shape) for prompt, seed in pairs]).to(where)
    vae = placement.place(found.vae(), where, torch.float32)
    count, rows = len(adapters), 0

    def predict(x: Any, t: Any, encoder_hidden_states: Any) -> Any:
        """The sampler puts the halves of guidance one after the other; the stack wants adapter by adapter.
        Without guidance they are adapter by adapter."""
        x, text = (tensor.to(unet.dtype) for tensor in (x, encoder_hidden_states))
        if len(x) == rows:
            return SimpleNamespace(sample=unet(x, t, encoder_hidden_states=text).sample)
        x, text = (_inner(tensor, count) for tensor in (x, text))
        return SimpleNamespace(sample=_outer(unet(x, t, encoder_hidden_states=text).sample, count))

    for start in range(0, len(pairs), settings.batch):
        part = slice(start, start + settings.batch)
        rows = count * len(noise[part])
        drawn = sampler.sample(
            predict,
            sampler.solver(found.scheduler, settings.scheduler),
            embedded[1:][part].repeat(count, 1, 1),
            embedded[:1],
            noise[part].repeat(count, 1, 1, 1),
            steps=settings.steps,
            guidance=settings.guidance,
            batch=rows,
            interval=settings.guidance_interval,
        )
        for latents in drawn:
            encoding.decode(vae, latents, found.scaling_factor)


def _inner(x: Any, count: int) -> Any:
    """(2 * count * n, ...) => the same rows, adapter by adapter."""
    return x.unflatten(0, (2, count, -1)).transpose(0, 1).flatten(0, 2)


def _outer(x: Any, count: int) -> Any:
    """The way back."""
    return x.unflatten(0, (count, 2, -1)).transpose(0, 1).flatten(0, 2)
