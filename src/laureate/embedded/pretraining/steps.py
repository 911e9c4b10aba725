"""The stages of the pre-training: input, output and progress only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laureate.core import files
from laureate.core.progress import progress
from laureate.embedded.pretraining import drawings, model_files
from laureate.embedded.pretraining import tokenizer as tokenizers
from laureate.embedded.pretraining.config import Config, small
from laureate.simulator.portraits import captions, styles


@dataclass(frozen=True)
class Folders:
    """The folder of the models and the scratch folder."""

    models: Path
    cache: Path

    @property
    def base(self) -> Path:
        """The Stable Diffusion folder."""
        return self.models / "base"

    def curve(self, name: str) -> Path:
        """The loss curve of a training."""
        return self.models / "curves" / f"{name}.csv"


def load_vae(folders: Folders) -> Any:
    """The trained autoencoder."""
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(folders.base / "vae", local_files_only=True).eval()


def load_tokenizer(folders: Folders) -> Any:
    """The trained tokenizer."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folders.base / "tokenizer", local_files_only=True)


def random(out: Path, config: Config, seed: int) -> None:
    """Write small models with random weights."""
    tokenizer = tokenizers.train(captions.words(2000), config.tokenizer.vocabulary)
    model_files.write_random(out, small(config), seed, tokenizer)


def draw(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Draw the training drawings."""
    drawings.draw(folders.cache, config.draw, config.size, processes)
    data = drawings.load(folders.cache, config.draw, config.size)
    files.write_json(folders.curve("draw").with_suffix(".json"), drawings.counts(data.labels))


def tokenizer(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the tokenizer; write `captions.npy`: (drawings, captions, 77) int16 token ids."""
    learnt = tokenizers.train(captions.words(config.tokenizer.captions), config.tokenizer.vocabulary)
    model_files.save_tokenizer(learnt, folders.base / "tokenizer")
    texts = drawings.write_captions(config.draw)
    flat = [text for row in texts for text in row]
    ids = learnt(flat, padding="max_length", truncation=True, return_tensors="np")["input_ids"].astype(
        np.int16
    )
    np.save(folders.cache / "captions.npy", ids.reshape(len(texts), config.draw.captions, tokenizers.LENGTH))
    files.write_json(folders.curve("tokenizer").with_suffix(".json"), tokenizers.sheet(learnt, ids))


def vae(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the autoencoder; measure the scale of its latents."""
    from laureate.embedded.pretraining import latents as encoding
    from laureate.embedded.pretraining import train_loop
    from laureate.embedded.pretraining.vae import VaeTask

    task = VaeTask(config, folders.cache, folders.base / "vae")
    train_loop.train(task, "vae", folders.cache, folders.curve("vae"), processes, resume)
    data = drawings.load(folders.cache, config.draw, config.size)
    rows = data.of_base()[:2000]
    mean, spread = encoding.through(encoding.encode, folders.base / "vae", data.pixels, rows, processes)
    file = folders.base / "vae" / "config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    files.write_json(file, {**settings, "scaling_factor": round(encoding.scale(mean, spread), 4)})


def reader(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the text model."""
    from laureate.embedded.pretraining import train_loop
    from laureate.embedded.pretraining.text_reader import ReaderTask

    task = ReaderTask(config, folders.cache, folders.base / "text_encoder", load_tokenizer(folders))
    train_loop.train(task, "reader", folders.cache, folders.curve("reader"), processes, resume)


def latents(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Encode the UNet's training data: `mean.npy`, `spread.npy` and `rows.npy` in the cache."""
    from laureate.embedded.pretraining import latents as encoding

    data = drawings.load(folders.cache, config.draw, config.size)
    rows = data.of_base()[: config.latents.count]
    mean, spread = encoding.through(encoding.encode, folders.base / "vae", data.pixels, rows, processes)
    for name, value in (("mean", mean), ("spread", spread), ("rows", rows)):
        np.save(folders.cache / f"{name}.npy", value)
    sheet = {
        "count": len(rows),
        "mean": float(mean.mean(dtype=np.float64)),
        "scale": encoding.scale(mean, spread),
    }
    files.write_json(folders.curve("latents").with_suffix(".json"), sheet)


def vision(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the vision judge, after encoding and decoding some drawings with the VAE."""
    from laureate.embedded.pretraining import judges, train_loop
    from laureate.embedded.pretraining import latents as encoding

    if not (resume and (folders.cache / judges.DECODED).is_file()):
        data = drawings.load(folders.cache, config.draw, config.size)
        rows = np.arange(min(config.vision.decoded_count, config.draw.count))
        (decoded,) = encoding.through(encoding.round_trip, folders.base / "vae", data.pixels, rows, processes)
        np.save(folders.cache / judges.DECODED, decoded)
    task = judges.VisionTask(config, folders.cache, folders.models / "vision")
    train_loop.train(task, "vision", folders.cache, folders.curve("vision"), processes, resume)


def clip(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the CLIP judge."""
    from laureate.embedded.pretraining import judges, train_loop

    text = folders.base / "text_encoder"
    task = judges.ClipTask(config, folders.cache, folders.models / "clip", text, load_tokenizer(folders))
    train_loop.train(task, "clip", folders.cache, folders.curve("clip"), processes, resume)


def unet(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Train the denoiser; write the files of the pipeline."""
    from laureate.embedded.pretraining import train_loop
    from laureate.embedded.pretraining.unet import UnetTask

    empty = load_tokenizer(folders)("", padding="max_length").input_ids
    scale = float(
        json.loads((folders.base / "vae" / "config.json").read_text(encoding="utf-8"))["scaling_factor"]
    )
    task = UnetTask(config, folders.cache, folders.base / "unet", folders.base / "text_encoder", empty, scale)
    model_files.save_index(folders.base)
    train_loop.train(task, "unet", folders.cache, folders.curve("unet"), processes, resume)


def _sample_share(arguments: tuple[Any, ...]) -> Any:
    import torch

    from laureate.embedded.pretraining import quality as measures

    torch.set_num_threads(1)
    return measures.sample(*arguments)


def quality(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Evaluate the models on new prompts and drawings; write `quality.json`."""
    import multiprocessing

    from PIL import Image

    from laureate.embedded.pretraining import latents as latents_of
    from laureate.embedded.pretraining import quality as measures
    from laureate.embedded.pretraining.train_loop import ENVIRONMENT
    from laureate.evaluation.judges import ClipJudge
    from laureate.evaluation.judges.vision_net import VisionNet

    settings = config.quality
    prompts = measures.fresh_prompts(settings.prompts, np.random.default_rng(settings.seed))
    share = 40
    shares = [
        (folders.base, prompts[start : start + share], settings, settings.seed + start, config.size)
        for start in range(0, len(prompts), share)
    ]
    os.environ.update(ENVIRONMENT)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        sampled = np.concatenate(
            list(progress(pool.imap(_sample_share, shares), len(shares), "sample the base"))
        )
    Image.fromarray(_grid(sampled[:48], 12)).save(folders.cache / "base.png")
    vision, vae = VisionNet.load(folders.models / "vision"), load_vae(folders)
    pixels, shown = measures.fresh_drawings(settings.drawings, settings.seed + 10_000, config.size)
    readable = [(who, style, styles.readable(who, style)) for who, style in shown]
    rows = np.arange(len(pixels))
    (decoded,) = latents_of.through(latents_of.round_trip, folders.base / "vae", pixels, rows, processes)
    laureate = np.array([style == styles.LAUREATE for _, style in shown])
    clip_rows = rows[: settings.clip_drawings]
    guessed = measures.zero_shot(
        ClipJudge.load(folders.models / "clip"),
        [Image.fromarray(pixels[row]) for row in clip_rows],
        [shown[row] for row in clip_rows],
    )
    files.write_json(
        folders.models / "quality.json",
        {
            "base": measures.score(
                [(each.who, each.style, frozenset(each.names)) for each in prompts],
                measures.read(vision, sampled),
            ),
            "vision": {
                "drawings": measures.score(readable, measures.read(vision, pixels)),
                "decoded": measures.score(readable, measures.read(vision, decoded)),
            },
            "clip": measures.score([readable[row] for row in clip_rows], guessed),
            "vae": {
                "base": measures.psnr(vae, pixels[~laureate][:120]),
                "laureate": measures.psnr(vae, pixels[laureate][:120]),
            },
            "sampling": settings.model_dump(),
        },
    )


def _grid(pixels: Any, across: int) -> Any:
    n, height, width, _ = pixels.shape
    rows = pixels[: n // across * across].reshape(-1, across, height, width, 3)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, across * width, 3)


def card(folders: Folders, config: Config, processes: int, resume: bool) -> None:
    """Write README.md and plot the loss curves."""
    from laureate.embedded.pretraining import card as cards

    curves = {name: folders.curve(name) for name in cards.PARTS}
    cards.draw_curves(curves, folders.models / "curves" / "curves.png")
    measured = json.loads((folders.models / "quality.json").read_text(encoding="utf-8"))
    times_file = folders.models / "curves" / "seconds.json"
    times = json.loads(times_file.read_text(encoding="utf-8")) if times_file.is_file() else {}
    files.write_text(folders.models / "README.md", cards.write(folders.models, config, measured, times))
