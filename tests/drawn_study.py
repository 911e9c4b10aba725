"""A study without models: everything that stages before evaluate leave behind, drawn and written in a second.

The baseline's pictures are drawn as photographs, the adapters' in the laureates' style.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from laureate import table
from laureate.atelier import attributes, captions, portrait
from laureate.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent


def draw_study(
    folder: Path, ranks: tuple[int, ...] = (4, 16), prompts: int = 4, train: int = 8, holdout: int = 6
) -> Path:
    """Fill `folder` with params.yaml, prompts, data set, samples and loss curves => `folder`."""
    asked = yaml.safe_load((ROOT / "data/prompts.yaml").read_text())[:prompts]
    write_text(folder / "data/prompts.yaml", yaml.safe_dump(asked))
    write_text(folder / "data/published.yaml", (ROOT / "data/published.yaml").read_text())
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"ranks": list(ranks), "selected": f"rank-{ranks[-1]}"}
    values["sample"] |= {"prompts": ["data/prompts.yaml"], "seeds": [1, 2]}
    values["evaluate"] |= {"bootstrap": 50}
    write_text(folder / "params.yaml", yaml.safe_dump(values, sort_keys=False))
    for part, count, first in (("train", train, 0), ("holdout", holdout, 1000)):
        _portraits(folder / "data/dataset" / part, count, first)
    left_out = [{"file": "9-2011-phy.jpg", "reason": "the same picture as 8-2010-phy.jpg"}]
    _lines(folder / "data/dataset/left_out.jsonl", left_out)
    _samples(folder, "baseline", asked, "photograph")
    for rank in ranks:
        _samples(folder, f"rank-{rank}", asked, "laureate")
        _curve(folder / f"metrics/train/rank-{rank}.csv", rank)
        write_json(
            folder / f"models/lora/rank-{rank}/config.json",
            {"rank": rank, "base": "b" * 64, "dataset": "d" * 64, "encoded": "e" * 64},
        )
    return folder


def write_metrics(folder: Path, ranks: tuple[int, ...] = (4, 16)) -> None:
    """Plausible metrics/models/NAME.json for the noise floor, the baseline and every rank."""
    for place, model in enumerate(["baseline", *(f"rank-{rank}" for rank in ranks), "noise-floor"]):
        better = min(1.0, place * (0.8 / max(1, len(ranks) - 1))) if place else 0.0
        values: dict[str, float | int | None] = {"n_generated": 98, "n_reference": 30}
        ends = {
            "fid": (90, 12), "kid": (1.9, 0.02), "lpips": (1.9, 1.2), "clip": (21.3, 33.2), "is": (2.3, 2.1),
            "clip_content": (31.1, 29.9), "style_read": (0.01, 0.98), "content": (0.91, 0.88),
        }  # fmt: skip
        for score in table.SCORES:
            start, end = ends[score.key]
            value = start + better * (end - start) + 0.01 * abs(end - start) * np.cos(3 * place)
            half = 0.06 * abs(end - start) + 0.004
            known = not (model == "noise-floor" and score.key == "content")
            for key, number in (("", value), ("_low", value - half), ("_high", value + half)):
                values[score.key + key] = float(f"{number:.6g}") if known else None
        write_json(folder / f"metrics/models/{model}.json", values)


def _portraits(folder: Path, count: int, first: int) -> None:
    rows = []
    for index in range(count):
        who = attributes.random_attributes(np.random.default_rng(first + index))
        name = f"{first + index}-{2012 + index % 15}-phy.png"
        folder.mkdir(parents=True, exist_ok=True)
        portrait.draw(who, "laureate", first + index).save(folder / name)
        text = captions.caption(who, "laureate", np.random.default_rng(index))
        person = {
            "id": str(first + index),
            "name": f"Person {index} <of> Öland",
            "credit": "Ill. © Atelier & Co",
        }
        rows.append({"file_name": name, "text": text, "image": f"http://127.0.0.1/{name}"} | person)
    _lines(folder / "metadata.jsonl", rows)


def _samples(folder: Path, model: str, asked: list[dict], style: str) -> None:
    target = folder / "data/samples" / model
    target.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, prompt in enumerate(asked):
        who = replace(attributes.random_attributes(np.random.default_rng(number)), **prompt["attributes"])
        for seed in (1, 2):
            file = f"{prompt['id']}_{seed}.png"
            portrait.draw(who, style, seed).save(target / file)
            pictures.append({"file": file, "prompt": prompt["id"], "text": prompt["text"], "seed": seed})
    adapter = None if model == "baseline" else f"{len(model):064x}"
    write_json(
        target / "manifest.json", {"model": model, "pictures": pictures, "base": "b" * 64, "adapter": adapter}
    )


def _curve(path: Path, rank: int) -> None:
    rng = np.random.default_rng(rank)
    lines = ["step,loss,holdout_loss"]
    for step in range(50, 401, 50):
        mean = 0.12 * (1 + 0.6 * np.exp(-step / 60)) - 0.004 * np.log2(rank)
        lines.append(f"{step},{mean + 0.003 * rng.normal():.6f},{mean + 0.02:.6f}")
    write_text(path, "\n".join(lines) + "\n")


def _lines(path: Path, rows: list[dict]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
