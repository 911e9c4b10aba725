"""A Stable Diffusion of some thousand random weights in the folder layout of diffusers: loads in a blink."""

import json
from pathlib import Path
from typing import Any

RESOLUTION = 32
DOWNSCALE = 4
MUSEUM = "http://127.0.0.1:8000"


def inputs(count: int, seed: int = 1) -> tuple[Any, Any, Any]:
    """Latents, time steps and text for its UNet."""
    import torch

    source = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, 4, RESOLUTION // DOWNSCALE, RESOLUTION // DOWNSCALE, generator=source),
        torch.randint(1000, (count,), generator=source),
        torch.randn(count, 77, 24, generator=source),
    )


def write(folder: Path, *, prediction: str = "v_prediction", seed: int = 0) -> Path:
    """Write the base to `folder` (a new folder) and give it back."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=RESOLUTION,
        )
        unet = UNet2DConditionModel(
            sample_size=RESOLUTION // DOWNSCALE,
            in_channels=4,
            out_channels=4,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=8,
            norm_num_groups=4,
        )
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=514,
                hidden_size=24,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=512,
                eos_token_id=513,
                pad_token_id=513,
            )
        )
    vae.save_pretrained(folder / "vae")
    unet.save_pretrained(folder / "unet")
    text.save_pretrained(folder / "text_encoder")
    DDIMScheduler(
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    (folder / "tokenizer").mkdir()
    # every byte as one letter of GPT-2's alphabet, alone and at the end of a word; no merges
    letters = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(vocabulary, [], model_max_length=77).save_pretrained(folder / "tokenizer")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


def adapter(unet: Any, rank: int, alpha: float) -> tuple[dict[str, Any], Any]:
    """The state and shape of an adapter that does something: neither half is zero."""
    import torch

    from laureate.networks.lora import injection
    from laureate.networks.lora.adapter import Adapter

    generator, state = torch.Generator().manual_seed(7), {}
    for name, layer in injection.find_targets(unet, TARGETS).items():
        down, up = (rank, layer.in_features), (layer.out_features, rank)
        state[f"unet.{name}.lora_A.weight"] = torch.randn(down, generator=generator) * 0.1
        state[f"unet.{name}.lora_B.weight"] = torch.randn(up, generator=generator) * 0.1
    return state, Adapter(rank, alpha)


def study(folder: Path, *, train: int = 10, holdout: int = 4, site: str = MUSEUM) -> Path:
    """A folder to run stages in: base, data set of coloured noise, two prompts, parameters with few steps.

    `site`: where the pictures of the data set are from.
    """
    import numpy as np
    import yaml
    from PIL import Image

    from laureate.formats.imagefolder import write_metadata
    from laureate.stages.prepare import metadata_row

    write(folder / "base")
    rng = np.random.default_rng(5)
    for part, count in (("train", train), ("holdout", holdout)):
        (folder / "data" / "dataset" / part).mkdir(parents=True)
        rows = []
        for number in range(count):
            name = f"{part}-{number}.png"
            raw = {"file": name, "id": str(number), "name": f"Person {number}", "image": f"{site}/{name}"}
            colours = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
            picture = Image.fromarray(colours).resize((RESOLUTION, RESOLUTION), Image.Resampling.BICUBIC)
            picture.save(folder / "data" / "dataset" / part / name)
            row = metadata_row(raw, {name: f"Person {number}, in the style."})
            rows.append({key: value for key, value in row.items() if key != "raw"})
        write_metadata(folder / "data" / "dataset" / part, rows)
    prompts = [
        {"id": name, "text": f"A {name}.", "set": "seed", "attributes": {}} for name in ("man", "woman")
    ]
    (folder / "data" / "prompts.yaml").write_text(yaml.safe_dump(prompts))
    parameters = {
        "ranks": [2, 4],
        "selected": "rank-2",
        "base": {"path": "base"},
        "prepare": {"resolution": RESOLUTION},
        "encode": {"batch": 3},
        "train": {
            "steps": 14,
            "batch": 2,
            "holdout_every": 5,
            "checkpoint_every": 4,
            "warmup": 3,
            "precision": "float32",
        },
        "sample": {
            "prompts": ["data/prompts.yaml"],
            "seeds": [1, 2],
            "steps": 2,
            "batch": 3,
            "precision": "float32",
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
    return folder
