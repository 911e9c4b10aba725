"""Read what the tabs Study and Vote show from the study's files; a part that is missing is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from laureate.comparison import results_table, table_io
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADVICE, COMPARISON, CURVES, DATASET, EVIDENCE, SAMPLES
from laureate.evaluation import evidence
from laureate.formats import imagefolder, prompts, samples
from laureate.reporting import charts, nearest_portraits
from laureate.reporting.gallery import Gallery, Noise, study_name
from laureate.reporting.nearest_portraits import Neighbour

if TYPE_CHECKING:
    import pandas as pd

Part = TypeVar("Part")


@dataclass(frozen=True)
class Study:
    """The parts of a study that are there."""

    table: pd.DataFrame | None  # as in results_table
    advice: Mapping[str, Any] | None  # as in metrics/adviser.json
    gallery: Gallery | None  # pictures as addresses of the app
    curves: Mapping[str, pd.DataFrame]  # adapter => loss curves, as in charts
    missing: list[str] = field(default_factory=list)  # what is not there and what makes it, a sentence each


def read(params: Params) -> Study:
    """The study in the working folder. Nothing is run, drawn or written."""
    missing: list[str] = []

    def part(reader: Callable[[], Part]) -> Part | None:
        try:
            return reader()
        except LaureateError as error:
            missing.append(f"{error}.")
            return None

    return Study(
        part(lambda: results_table.read_csv(COMPARISON)),
        part(_advice),
        part(lambda: gallery(params)),
        part(lambda: _curves(params)) or {},
        missing,
    )


def gallery(params: Params) -> Gallery:
    """Every prompt and seed, with the pictures of the base and of all adapters that have been sampled.

    Pictures are addresses below /study/. Raises LaureateError where nothing was sampled, or a manifest or a
    data set is missing or damaged.
    """
    asked = {prompt.id: prompt for prompt in prompts.load(params.sample.prompts)}
    names = [n for n in ("baseline", *params.adapters) if samples.path_of(n).is_file()]
    if not names:
        raise LaureateError(f"{SAMPLES} has no pictures; run `make study` first")
    manifests = {name: samples.read(name) for name in names}
    drawn = {
        name: {(row["prompt"], row["seed"]): row["file"] for row in manifest.pictures}
        for name, manifest in manifests.items()
    }
    common = [
        pair for pair in drawn[names[0]] if all(pair in of for of in drawn.values()) and pair[0] in asked
    ]
    common.sort(key=lambda pair: asked[pair[0]].set != params.report.prompts)
    portraits = imagefolder.read_metadata(DATASET / "train") if (DATASET / "train").is_dir() else []
    near = {name: _nearest(name, len(portraits)) for name in names}
    noises = [
        Noise(
            prompt,
            asked[prompt].text,
            seed,
            {name: f"/study/sample/{name}/{quote(drawn[name][prompt, seed])}" for name in names},
            {name: found[f"{prompt}_{seed}"] for name, found in near.items() if f"{prompt}_{seed}" in found},
        )
        for prompt, seed in common
    ]
    parts = {name: [one.base, one.adapter, one.settings] for name, one in manifests.items()}
    return Gallery(
        study_name(parts | {"prompts": {prompt.id: prompt.text for prompt in asked.values()}}),
        names,
        noises,
        [(str(row["name"]), f"/study/train/{quote(row['file_name'])}") for row in portraits],
    )


def _nearest(model: str, portraits: int) -> dict[str, list[Neighbour]]:
    """Picture => its nearest training portraits by LPIPS; empty where that has not been measured."""
    path = EVIDENCE / f"{model}.safetensors"
    if not path.is_file() or not portraits:
        return {}
    found = evidence.load(path, model)
    if "train" not in found.arrays:
        return {}
    try:
        return nearest_portraits.by_picture(
            found.pictures, found.arrays["train"], portraits, found.arrays.get("chance")
        )
    except LaureateError as error:
        raise LaureateError(f"{path}: {error}") from None


def _advice() -> Mapping[str, Any]:
    try:
        return dict(json.loads(table_io.read_text(ADVICE, "compare")))
    except ValueError:
        raise LaureateError(f"{ADVICE} cannot be read; run `laureate compare` again") from None


def _curves(params: Params) -> Mapping[str, pd.DataFrame]:
    """The loss curves that are there."""
    files = {name: CURVES / f"{name}.csv" for name in params.adapters}
    found = {
        name: table_io.read_csv(file, charts.CURVE, "train") for name, file in files.items() if file.is_file()
    }
    if not found:
        raise LaureateError(f"{CURVES} has no loss curves; run `make study` first")
    return found
