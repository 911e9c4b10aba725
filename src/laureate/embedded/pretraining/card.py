"""Write models/embedded/README.md: the models, their training data, training times and quality."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from laureate.embedded.pretraining.config import Config
from laureate.simulator.portraits import styles

PARTS = {
    "vae": ("base/vae", "AutoencoderKL", "diffusion_pytorch_model.safetensors"),
    "reader": ("base/text_encoder", "CLIPTextModel", "model.safetensors"),
    "unet": ("base/unet", "UNet2DConditionModel", "diffusion_pytorch_model.safetensors"),
    "vision": ("vision", "laureate.evaluation.judges.vision_net.VisionNet", "model.safetensors"),
    "clip": ("clip", "CLIPModel", "model.safetensors"),
}


def curve(file: Path) -> list[tuple[int, float]]:
    """Steps and losses of a curve's CSV."""
    with file.open(encoding="utf-8") as handle:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(handle)]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float) -> str:
    """0.5 => 50.0 %."""
    return f"{100 * share:.1f} %"


def _parts(models: Path, config: Config, times: dict[str, float]) -> str:
    rows = []
    for name, (folder, kind, weights) in PARTS.items():
        settings = getattr(config, name)
        steps, loss = curve(models / "curves" / f"{name}.csv")[-1]
        size = (models / folder / weights).stat().st_size
        minutes = f"{times[name] / 60:.0f} min" if name in times else "–"
        rows.append(
            [
                f"`{folder}`",
                f"`{kind}`",
                f"{size / 2e6:.1f} M",
                f"{steps:,} of {settings.steps:,}",
                f"{steps * settings.batch:,}",
                minutes,
                f"{loss:.3g}",
            ]
        )
    return table(["folder", "class", "weights", "steps", "examples seen", "time", "last loss"], rows)


def _reading(quality: dict[str, Any]) -> str:
    columns = {
        "judge on drawings": quality["vision"]["drawings"],
        "judge on decoded drawings": quality["vision"]["decoded"],
        "base, read by the judge": quality["base"],
        "CLIP, zero-shot": quality["clip"],
    }
    names = [*quality["vision"]["drawings"]]
    names = [name for name in names if name not in ("style", "attributes")] + ["attributes", "style"]
    rows = []
    for name in names:
        label = "**mean of the attributes**" if name == "attributes" else name.replace("_", " ")
        row = [label]
        for column in columns.values():
            value = column.get(name)
            row.append(f"{percent(value['accuracy'])} ({percent(value['chance'])})" if value else "–")
        rows.append(row)
    return table(["", *columns], rows)


def write(models: Path, config: Config, quality: dict[str, Any], times: dict[str, float]) -> str:
    """The text of README.md. `times` are seconds per training, where they are known."""
    base_styles = ", ".join(styles.BASE_STYLES)
    total = sum(file.stat().st_size for file in models.rglob("*") if file.suffix in (".safetensors", ".json"))
    sampling = quality["sampling"]
    return f"""<!-- Written by `python -m laureate.embedded.pretraining card`: change card.py there. -->
# The embedded models

A Stable Diffusion and two judges, small enough for git ({total / 1e6:.0f} MB) and for two CPU cores,
made from drawings alone: no photograph, no person and no downloaded weight is in them. Licence: the
repository's.

`base/` loads with `diffusers.StableDiffusionPipeline.from_pretrained`, `clip/` with
`transformers.CLIPModel.from_pretrained`, `vision/` with
`laureate.evaluation.judges.vision_net.VisionNet.load`. Pictures are
{config.size} × {config.size}; the base predicts velocity on {config.vae.latent_channels} latent channels at
an eighth of the resolution. Weights are stored as float16 and load as float32.

## Data
{config.draw.count:,} drawings of invented people by `laureate.simulator.portraits`,
{percent(config.draw.laureate)} of them in the laureates' style, each with
{config.draw.captions} captions. **The base has never seen the laureates' style**: its
UNet saw {config.latents.count:,} drawings ({base_styles}); its
VAE crops of such drawings and, to {percent(config.vae.abstract)}, pictures of strokes and shapes in every
colour. The text model learned to read captions of all styles, the laureates' phrase included, and never
saw a picture. The judges saw every style; the vision judge also drawings that went through the VAE.

## Trainings
{_parts(models, config, times)}

Times are wall clock on two CPU cores (AVX-512 bfloat16) that other programs shared. Two single-threaded
processes, bfloat16 weights with float32 masters, Muon for matrices and AdamW for the rest, cosine decay,
averaged weights; all numbers are in [params.yaml](params.yaml). A training can be asked to end
before its last step (`loop.train`), and most of these were: their learning rate then falls in a line, as
the curves in [curves/](curves) say.

![loss curves](curves/curves.png)

## Quality
Measured by `python -m laureate.embedded.pretraining quality`, on people that no training saw; chance in
brackets, which is the agreement that is left when the answers are shuffled. An attribute counts where it can
be seen (`laureate.simulator.portraits.styles.readable`).

{_reading(quality)}

The base's pictures: {sampling["prompts"]} prompts in its own styles, {sampling["steps"]} steps of DDIM,
guidance {sampling["guidance"]:g}, bfloat16; every prompt names most of what could be seen. The judges:
{sampling["drawings"]} fresh drawings in all styles, {sampling["clip_drawings"]} for CLIP. CLIP chooses among
plain captions that it was trained to tell apart; the pictures are new to it. The VAE keeps
drawings in the base's styles to {quality["vae"]["base"]:.1f} dB PSNR, and drawings in the laureates' style,
which it has never seen, to {quality["vae"]["laureate"]:.1f} dB.

## Limits
They know one kind of portrait, {len(styles.STYLES)} styles and the words of our captions; names and other
words mean nothing to them. They are for studying methods, not for pictures of real people.

## Make them anew
`dvc repro --force models/embedded/dvc.yaml` after unfreezing the stages there, or verb by verb:
`python -m laureate.embedded.pretraining --help`. Drawings and latents go to a scratch folder of about 3 GB.
"""


def draw_curves(files: dict[str, Path], out: Path) -> None:
    """One small panel per training: loss over steps, both axes logarithmic but for the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(files), figsize=(2.6 * len(files), 2.4), constrained_layout=True)
    for axis, (name, file) in zip(axes, files.items(), strict=True):
        rows = curve(file)
        axis.plot([step for step, _ in rows], [loss for _, loss in rows], color="black", linewidth=1)
        axis.set_title(name, fontsize=10)
        axis.set_yscale("log")
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7, which="both")
    figure.savefig(out, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
