"""A study without models: all outputs of the stages before evaluate, drawn and written in a second.

The baseline's pictures are drawn as photographs, the adapters' in the laureates' style; without the style
phrase these draw posters, so that they drift and do not leak.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageFilter

from laureate.config import params
from laureate.core.files import write_json, write_text
from laureate.evaluation import evidence, scores, scoring
from laureate.formats import imagefolder, samples
from laureate.formats.prompts import Prompt, plain
from laureate.formats.prompts import load as load_prompts
from laureate.networks.lora import adapter_config
from laureate.networks.lora.arm import Arm
from laureate.simulator.portraits import attributes, captions, portrait
from laureate.stages.prepare import metadata_row
from laureate.training.loss_curves import Curves

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "folder models/embedded/base"


def draw_study(
    folder: Path, ranks: tuple[int, ...] = (4, 16), prompts: int = 4, train: int = 8, holdout: int = 6
) -> Path:
    """Fill `folder` with params.yaml, prompts, data set, samples and loss curves => `folder`."""
    chosen = yaml.safe_load((ROOT / "data/prompts.yaml").read_text())[:prompts]
    write_text(folder / "data/prompts.yaml", yaml.safe_dump(chosen))
    asked = load_prompts([folder / "data/prompts.yaml"])
    write_text(folder / "data/published.yaml", (ROOT / "data/published.yaml").read_text())
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"ranks": list(ranks), "selected": f"rank-{ranks[-1]}"}
    values["sample"] |= {"prompts": ["data/prompts.yaml"], "seeds": [1, 2]}
    values["evaluate"] |= {"bootstrap": 50}
    write_text(folder / "params.yaml", yaml.safe_dump(values, sort_keys=False))
    for part, count, first in (("train", train, 0), ("holdout", holdout, 1000)):
        _portraits(folder / "data/dataset" / part, count, first)
    _blurred(folder / "data/dataset/train", folder / "data/reconstructed")
    left_out = [{"file": "9-2011-phy.jpg", "reason": "the same picture as 8-2010-phy.jpg"}]
    imagefolder.write_left_out(folder / "data/dataset", left_out)
    _samples(folder, "baseline", asked, "photograph")
    for rank in ranks:
        _samples(folder, f"rank-{rank}", asked, "laureate")
        _curve(folder / f"metrics/train/rank-{rank}.csv", rank)
        hashes = {"base": "b" * 64, "dataset": "d" * 64, "encoded": "e" * 64, "code": "c" * 64}
        recipe = adapter_config.recipe(rank, values["train"], **hashes)
        adapter_config.write(
            folder / f"models/lora/rank-{rank}", recipe, precision="float32", base_source=SOURCE
        )
    return folder


def draw_judged_study(folder: Path, models: Path) -> Path:
    """`draw_study`, with the judges of `models` in the place of the embedded ones => `folder`."""
    draw_study(folder)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["compare"]["judges"] = ["vision", "clip"]  # the third has real weights, and takes its time
    write_text(folder / "params.yaml", yaml.safe_dump(values, sort_keys=False))
    for judge in ("clip", "vision"):
        shutil.copytree(models / judge, folder / "models/embedded" / judge)
    return folder


def write_metrics(folder: Path, ranks: tuple[int, ...] = (4, 16), external: tuple[str, ...] = ()) -> None:
    """Simulated evidence for every model, and metrics/models/NAME.json with the scores of it.

    Features of 49 prompts with two seeds and of 30 portraits: the baseline's lie far off, a rank's the nearer
    the larger it is.
    """
    names = ["noise-floor", "baseline", *(f"rank-{rank}" for rank in ranks), *external]
    ceiling = (len(names), "vae-ceiling")
    for place, model in [*enumerate(names), ceiling]:
        away = (0.0, 2.0)[place] if place < 2 else 0.05 if model == ceiling[1] else 0.5 / (place - 1)
        found = evidence_of(model, away, np.random.default_rng(place))
        evaluate = params.Evaluate(bootstrap=50)
        found = scoring.drawn(found, 30, evaluate)
        resamples = scores.resample(found.clusters, 30, evaluate.bootstrap, evaluate.seed)
        values: dict[str, float | int | None] = {"n_generated": 98, "n_prompts": 49, "n_reference": 30}
        for key, score in scoring.scores_of(found, evaluate.neighbours).items():
            estimate = None if score is None else scoring.estimate(key, score, resamples)[0]
            values |= scoring.columns(key, estimate)
        values |= scoring.original(found, [] if model in params.REFERENCES else list(range(0, 18, 2)), None)
        evidence.save(folder / f"data/evidence/{model}.safetensors", found)
        write_json(folder / f"metrics/models/{model}.json", values)


def name_pictures(folder: Path) -> None:
    """Give the evidence of `write_metrics` the names of the drawn pictures, and distances to the drawn
    training portraits alone, as the evidence of `laureate evaluate` has them."""
    portraits = len(imagefolder.read_metadata(folder / "data/dataset/train"))
    for path in sorted((folder / "data/samples").iterdir()):
        file = folder / f"data/evidence/{path.name}.safetensors"
        found = evidence.load(file, path.name)
        rows = json.loads((path / "manifest.json").read_text())["pictures"]
        names = [f"{row['prompt']}_{row['seed']}" for row in rows]
        train = found.arrays["train"][:, :portraits]
        evidence.save(
            file,
            replace(
                found,
                pictures=[*names, *found.pictures[len(names) :]],
                arrays=dict(found.arrays) | {"train": train},
            ),
        )


def evidence_of(model: str, away: float, rng: np.random.Generator) -> evidence.Evidence:
    """Simulated evidence of a model whose pictures lie `away` from the style."""
    common = np.random.default_rng(7)  # the portraits, and the effect of a prompt, the same for all models
    prompts, features, floor = [f"p{i // 2}" for i in range(98)], 6, model in params.REFERENCES
    asked = common.normal(size=(98, features))
    portraits = common.normal(size=(30, features))
    x = 0.8 * asked + 0.6 * rng.normal(size=(98, features)) + away / 2
    far = lambda a, b: ((a[:, None] - b[None]) ** 2).sum(axis=2)  # noqa: E731
    shares = {"style_read": (rng.random(98) > away / 2).astype(float), "content": rng.random((98, 3)).round()}
    values = {"clip": 60 - 20 * away + asked[:, 0] + rng.normal(size=98), "clip_content": 50 + asked[:, 1]}
    arrays = {"lpips": far(x, portraits)}
    if not floor:
        values |= {"content": shares["content"], "lpips_diversity": rng.random(98)}
        plain_rows = np.where(np.arange(98) % 4 == 0, 1.0, np.nan)  # the first seed of every second prompt
        values |= {"copies": (rng.random(98) < 0.05).astype(float)}
        values |= {"leak": plain_rows * (rng.random(98) < 0.1), "plain_clip": plain_rows * (50 + asked[:, 1])}
        if model != "baseline":
            values |= {"drift": plain_rows * rng.random(98)}
        arrays |= {"train": far(x, portraits + 1), "chance": far(portraits, portraits + 1).min(axis=1)}
    sets = {"panel_imagenet": (x + 1, portraits + 1), "panel_clip": (x / 2, portraits / 2)}
    unit = lambda a: a / np.linalg.norm(a, axis=1, keepdims=True)  # noqa: E731
    return evidence.Evidence(
        model=model,
        pictures=[f"{prompt}_{i % 2}" for i, prompt in enumerate(prompts)],
        clusters=prompts,
        sets=sets
        | {"looks": (x, portraits), "cmmd": (unit(x), unit(portraits)), "style": (x**2, portraits**2)}
        | {"panel_imagenet_style": (x**2 + 1, portraits**2 + 1)},
        values=values | {"style_read": shares["style_read"]},
        heads={"hair": rng.dirichlet(np.ones(4), size=98)},
        arrays=arrays,
        judges={
            "vision": {
                "kind": "vision",
                "sha256": {"model.safetensors": "a" * 64},
                "roles": ["looks", "lpips", "style", "attributes"],
            },
            "imagenet": {"kind": "imagenet", "sha256": {"net.pth": "c" * 64}, "roles": []},
        },
    )


def _portraits(folder: Path, count: int, first: int) -> None:
    rows = []
    for index in range(count):
        who = attributes.random_attributes(np.random.default_rng(first + index))
        name = f"{first + index}-{2012 + index % 15}-phy.png"
        folder.mkdir(parents=True, exist_ok=True)
        portrait.draw(who, "laureate", first + index).save(folder / name)
        text = captions.caption(who, "laureate", np.random.default_rng(index))
        raw = {
            "file": name,
            "image": f"http://127.0.0.1/{name}",
            "id": str(first + index),
            "name": f"Person {index} <of> Öland",
            "credit": "Ill. © Atelier & Co",
        }
        row = metadata_row(raw, {name: text})
        rows.append({key: value for key, value in row.items() if key != "raw"})
    imagefolder.write_metadata(folder, rows)


def _blurred(portraits: Path, folder: Path) -> None:
    """The training portraits as a base's VAE might decode them."""
    folder.mkdir(parents=True)
    for path in sorted(portraits.glob("*.png")):
        with Image.open(path) as picture:
            picture.filter(ImageFilter.GaussianBlur(1)).save(folder / path.name)


def _samples(folder: Path, model: str, asked: list[Prompt], style: str) -> None:
    _drawn(folder / "data/samples" / model, model, asked, style, (1, 2))
    without = plain(asked, "in the style of Nobel Laureate", len(asked))
    _drawn(
        folder / "data/plain" / model, model, without, "photograph" if model == "baseline" else "poster", (1,)
    )


def _drawn(target: Path, model: str, asked: list[Prompt], style: str, seeds: tuple[int, ...]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, prompt in enumerate(asked):
        who = replace(attributes.random_attributes(np.random.default_rng(number)), **prompt.attributes)
        for seed in seeds:
            file = f"{prompt.id}_{seed}.png"
            portrait.draw(who, style, seed).save(target / file)
            pictures.append({"file": file, "prompt": prompt.id, "text": prompt.text, "seed": seed})
    adapter = None if model == "baseline" else f"{len(model):064x}"
    samples.write(target, samples.Samples(model, "b" * 64, pictures, SOURCE, adapter, {"steps": 12}))


def _curve(path: Path, rank: int) -> None:
    rng = np.random.default_rng(rank)
    rows = []
    for step in range(50, 401, 50):
        mean = 0.12 * (1 + 0.6 * np.exp(-step / 60)) - 0.004 * np.log2(rank)
        rows.append([step, mean + 0.003 * rng.normal(), mean + 0.02])
    write_text(path, Curves([Arm(rank, 1e-3, 42)], {"rows": [rows], "pending": []}).csv(0))
