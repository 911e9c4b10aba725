"""A base in the layout of diffusers, written as one checkpoint in Stable Diffusion 2's original layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

RESNET = {
    "norm1.": "in_layers.0.",
    "conv1.": "in_layers.2.",
    "norm2.": "out_layers.0.",
    "conv2.": "out_layers.3.",
    "time_emb_proj.": "emb_layers.1.",
    "conv_shortcut.": "skip_connection.",
}
UNET = {
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "conv_in.": "input_blocks.0.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
}
VAE_ATTENTION = {
    "group_norm.": "norm.",
    "to_q.": "q.",
    "to_k.": "k.",
    "to_v.": "v.",
    "to_out.0.": "proj_out.",
}
TEXT = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def write(folder: Path, file: Path, family: int = 2) -> Path:
    """Write the base in `folder` as the checkpoint `file` of Stable Diffusion 1 or 2, and give it back."""
    import json

    from safetensors.torch import load_file, save_file

    def config(part: str) -> Any:
        return json.loads((folder / part / "config.json").read_text())

    unet = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    vae = load_file(folder / "vae/diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder/model.safetensors")
    names = unet_names(config("unet"), list(unet))
    whole = {f"model.diffusion_model.{names[key]}": value for key, value in unet.items()}
    blocks = len(config("vae")["block_out_channels"])
    for key, value in vae.items():
        name = vae_name(key, blocks)
        linear = ".mid.attn_1." in name and name.endswith("weight") and ".norm." not in name
        whole[f"first_stage_model.{name}"] = value[:, :, None, None] if linear else value
    if family == 2:
        whole |= {f"cond_stage_model.model.{key}": value for key, value in open_clip(text).items()}
    else:
        start = "cond_stage_model.transformer.text_model."
        whole |= {start + key.removeprefix("text_model."): value for key, value in text.items()}
    save_file({key: value.contiguous() for key, value in whole.items()}, file)
    return file


def unet_names(config: dict[str, Any], keys: list[str]) -> dict[str, str]:
    """Name in diffusers => name in the original."""
    layers, blocks = config["layers_per_block"], len(config["block_out_channels"])
    places = dict(UNET)
    for block in range(blocks):
        for layer in range(layers):
            index = 1 + block * (layers + 1) + layer
            places[f"down_blocks.{block}.resnets.{layer}."] = f"input_blocks.{index}.0."
            places[f"down_blocks.{block}.attentions.{layer}."] = f"input_blocks.{index}.1."
        places[f"down_blocks.{block}.downsamplers.0.conv."] = (
            f"input_blocks.{(block + 1) * (layers + 1)}.0.op."
        )
        attends = "CrossAttn" in config["up_block_types"][block]
        for layer in range(layers + 1):
            index = block * (layers + 1) + layer
            places[f"up_blocks.{block}.resnets.{layer}."] = f"output_blocks.{index}.0."
            places[f"up_blocks.{block}.attentions.{layer}."] = f"output_blocks.{index}.1."
        last = block * (layers + 1) + layers
        places[f"up_blocks.{block}.upsamplers.0."] = f"output_blocks.{last}.{2 if attends else 1}."
    names = {}
    for key in keys:
        start = next(place for place in places if key.startswith(place))
        rest = key.removeprefix(start)
        for old, new in RESNET.items() if "resnets" in start else ():
            rest = rest.replace(old, new)
        names[key] = places[start] + rest
    return names


def vae_name(key: str, blocks: int) -> str:
    """Name in diffusers => name in the original, without prefix."""
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{blocks - 1 - int(m[1])}.block.", key)
    key = re.sub(
        r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample.", key
    )
    key = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", key)
    if "mid_block.attentions.0." in key:
        key = key.replace("mid_block.attentions.0.", "mid.attn_1.")
        for old, new in VAE_ATTENTION.items():
            key = key.replace(old, new)
    return key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def open_clip(text: dict[str, Any]) -> dict[str, Any]:
    """A CLIPTextModel's tensors under the names of OpenCLIP, which keeps q, k and v in one."""
    import torch

    result = {}
    for key, value in text.items():
        key = key.removeprefix("text_model.")
        if key.startswith("encoder.layers."):
            key = "transformer.resblocks." + key.removeprefix("encoder.layers.")
            if found := re.fullmatch(r"(.*)\.self_attn\.([qkv])_proj\.(weight|bias)", key):
                if found[2] == "q":
                    parts = [text[_sibling(text, found, letter)] for letter in "qkv"]
                    result[f"{found[1]}.attn.in_proj_{found[3]}"] = torch.cat(parts)
                continue
            for old, new in TEXT.items():
                key = key.replace(old, new)
            result[key] = value
        elif key == "embeddings.token_embedding.weight":
            result["token_embedding.weight"] = value
        elif key == "embeddings.position_embedding.weight":
            result["positional_embedding"] = value
        elif key.startswith("final_layer_norm"):
            result[key.replace("final_layer_norm", "ln_final")] = value
    width = text[next(key for key in text if key.endswith("token_embedding.weight"))].shape[1]
    result["text_projection"] = torch.zeros(width, width)  # there in the original, and not used
    return result


def _sibling(text: dict[str, Any], found: re.Match[str], letter: str) -> str:
    layer = found[1].removeprefix("transformer.resblocks.")
    tail = f"encoder.layers.{layer}.self_attn.{letter}_proj.{found[3]}"
    return next(key for key in text if key.endswith(tail))
