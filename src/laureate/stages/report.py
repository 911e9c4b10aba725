"""Stage report: the study as one HTML page, and its figures as files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.comparison import published_results, results_table, table_io
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_text
from laureate.core.paths import ADAPTER_WEIGHTS, ADVICE, COMPARISON, EVIDENCE, EXTERNAL
from laureate.core.progress import progress
from laureate.formats import external, imagefolder, prompts, samples
from laureate.formats.pictures import read_picture
from laureate.imaging import image_io
from laureate.reporting import charts, contact_sheets, gallery, html_page, nearest_portraits, price_charts
from laureate.reporting.price_charts import PRICES

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.reporting.nearest_portraits import Neighbour

METRICS, SAMPLES, DATASET, ADAPTERS = (
    Path("metrics"),
    Path("data/samples"),
    Path("data/dataset"),
    Path("models/lora"),
)
PROMPTS, TUNED, MATRIX = "prompts.jpg", "baseline-against-tuned.jpg", "prompts-by-rank.jpg"
SCORES, LOSSES = "scores-by-rank.svg", "losses.svg"


def run(params: Params) -> None:
    """Tables, samples, curves and data set => metrics/report: index.html and figures/."""
    content = read_content(params)
    with fresh_folder(METRICS / "report") as folder:
        drawings = list(draw_sheets(content).items())
        for name, picture in progress(drawings, len(drawings), "report"):
            path = folder / "figures" / name
            path.parent.mkdir(exist_ok=True)
            picture.save(path, quality=84, subsampling=0, optimize=True)  # no subsampling: thin gold lines
        write_text(folder / "figures" / SCORES, charts.scores_by_rank(content.table))
        write_text(folder / "figures" / LOSSES, charts.losses(content.curves, content.selected))
        write_text(folder / "figures" / PRICES, price_charts.pareto(content.table, _sizes(content.adapters)))
        write_text(folder / "index.html", html_page.render(content))


def _sizes(adapters: list[str]) -> dict[str, int]:
    """Adapter => bytes of its file; those without one are left out."""
    files = {name: ADAPTERS / name / ADAPTER_WEIGHTS for name in adapters}
    return {name: file.stat().st_size for name, file in files.items() if file.is_file()}


def draw_sheets(content: html_page.PageContent) -> dict[str, Image]:
    """The three contact sheets: file name => RGB picture."""
    chosen, name = content.selected, results_table.title(content.selected)
    tuned = [(p.text, [p.pictures["baseline"], p.pictures[chosen]]) for p in content.prompts]
    names = [results_table.title(model) for model in content.models]
    return {
        PROMPTS: contact_sheets.prompt_grid(
            [(p.text, [p.pictures[chosen]]) for p in content.prompts],
            name,
            f"One picture per prompt, seed {content.seed}, not chosen by hand.",
        ),
        TUNED: contact_sheets.prompt_grid(
            tuned,
            f"Baseline against {name.lower()}",
            "The same prompt, the same seed, the same starting noise.",
            ("Baseline", name),
        ),
        MATRIX: contact_sheets.matrix(
            [(p.text, [p.pictures[model] for model in content.models]) for p in content.prompts],
            names,
            "Prompts × ranks",
            "Every row is one prompt and one starting noise; only the adapter changes.",
            highlighted=name,
        ),
    }


def read_content(params: Params) -> html_page.PageContent:
    """Read what is on the page. Raises LaureateError naming the file that is missing and its stage."""
    table = results_table.read_csv(COMPARISON)
    models = ["baseline", *params.adapters]
    if list(table.index) != params.models:
        raise LaureateError(f"{COMPARISON} is of other models than params.yaml; run `laureate compare`")
    manifests = {name: samples.read(name) for name in models}
    seed = params.sample.seeds[0]
    all_prompts = prompts.load(params.sample.prompts)
    external_pictures = {name: external.read(name, all_prompts) for name in params.external}
    advice = _json(ADVICE, "compare")
    return html_page.PageContent(
        title=params.report.title,
        selected=advised_model(advice),
        table=table,
        advice=advice,
        prompts=[
            html_page.PromptPictures(
                p.text,
                {m: _sample(m, manifests[m], p.id, seed) for m in models}
                | {m: _external_sample(m, found, p.id, seed) for m, found in external_pictures.items()},
            )
            for p in all_prompts
            if p.set == params.report.prompts
        ],
        seed=seed,
        curves={
            name: table_io.read_csv(METRICS / "train" / f"{name}.csv", charts.CURVE, "train")
            for name in params.adapters
        },
        data=_data(params.report.portraits),
        gallery=read_gallery(params, all_prompts, manifests),
        parameters=_parameters(params),
        hashes=_hashes(params, manifests),
        bootstrap=params.evaluate.bootstrap,
        sheets=(PROMPTS, TUNED, MATRIX),
        judges=_json(METRICS / "judges.json", "compare"),
        missing={name: found.missing for name, found in external_pictures.items() if found.missing},
        published=published_results.load(params.compare.published),
    )


def read_gallery(
    params: Params, asked: Sequence[prompts.Prompt], manifests: Mapping[str, samples.Samples]
) -> gallery.Gallery:
    """The pictures of the base and of the adapters from up to `report.noises` starting noises.

    All prompts with the first seed before any with the second; those of `report.prompts` are shown first.
    """
    models = ["baseline", *params.adapters]
    near = {name: _nearest(name) for name in models}
    first = sorted(asked, key=lambda prompt: prompt.set != params.report.prompts)
    pairs = [(prompt, seed) for seed in params.sample.seeds for prompt in first][: params.report.noises]
    pairs.sort(key=lambda pair: first.index(pair[0]))

    def uri(picture: Image) -> str:
        return html_page.picture_uri(picture, min(picture.width, params.report.width))

    noises = [
        gallery.Noise(
            prompt.id,
            prompt.text,
            seed,
            {name: uri(_sample(name, manifests[name], prompt.id, seed)) for name in models},
            {name: _of_picture(name, found, prompt.id, seed) for name, found in near.items() if found},
        )
        for prompt, seed in progress(pairs, len(pairs), "report, pictures")
    ]
    rows = imagefolder.read_metadata(DATASET / "train") if noises else []
    return gallery.Gallery(
        gallery.study_name(
            {name: [one.base, one.adapter, one.adapters, one.settings] for name, one in manifests.items()}
            | {"prompts": {prompt.id: prompt.text for prompt in asked}}
        ),
        models,
        noises,
        [(row["name"], uri(read_picture(DATASET / "train" / row["file_name"]))) for row in rows],
    )


def _of_picture(model: str, found: Mapping[str, list[Neighbour]], prompt: str, seed: int) -> list[Neighbour]:
    try:
        return found[f"{prompt}_{seed}"]
    except KeyError:
        raise LaureateError(
            f"data/evidence/{model}.safetensors lacks {prompt} with seed {seed}; "
            f"run `laureate evaluate --model {model}` again"
        ) from None


def _nearest(model: str) -> dict[str, list[Neighbour]]:
    """Picture => its nearest training portraits by LPIPS; empty where no judge measures it."""
    from laureate.evaluation import evidence

    found = evidence.load(EVIDENCE / f"{model}.safetensors", model)
    if "train" not in found.arrays:
        return {}
    count = len(imagefolder.read_metadata(DATASET / "train"))
    try:
        return nearest_portraits.by_picture(
            found.pictures, found.arrays["train"], count, found.arrays.get("chance")
        )
    except LaureateError as error:
        raise LaureateError(f"data/evidence/{model}.safetensors: {error}") from None


def advised_model(advice: dict[str, Any]) -> str:
    """The adapter that the page puts forward, from the content of adviser.json: `rank-N` of the advised rank,
    or of the best value where no rank is advised. `params.selected` has no part in it."""
    return f"rank-{advice['rank'] or advice['best']}"


def _external_sample(model: str, found: external.Pictures, prompt: str, seed: int) -> Image:
    """An external model's picture of a prompt: of that seed, else its first, else a placeholder."""
    rows = sorted(
        (row for row in found.drawn if row["prompt"] == prompt), key=lambda row: row["seed"] != seed
    )
    if rows:
        return image_io.square(read_picture(EXTERNAL / model / rows[0]["file"]))
    reasons = [str(row.get("reason", "")) for row in found.missing if row.get("prompt") == prompt]
    return contact_sheets.placeholder((reasons[0] if reasons else "") or "no picture")


def _sample(model: str, manifest: samples.Samples, prompt: str, seed: int) -> Image:
    files = [row["file"] for row in manifest.pictures if row["prompt"] == prompt and row["seed"] == seed]
    if not files:
        raise LaureateError(
            f"data/samples/{model} lacks {prompt} with seed {seed}; run `laureate sample --model {model}`"
        )
    return read_picture(SAMPLES / model / files[0])


def _data(limit: int) -> html_page.DatasetSummary:
    """The data set, with up to `limit` portraits spread evenly over it."""
    rows = [(part, row) for part in imagefolder.PARTS for row in imagefolder.read_metadata(DATASET / part)]
    rows.sort(key=lambda item: (_year(item[1]["file_name"]), item[1]["file_name"]))
    step = max(1.0, len(rows) / limit) if limit else 0
    chosen = [rows[int(i * step)] for i in range(min(limit, len(rows)))]
    portraits = [
        html_page.Portrait(
            read_picture(DATASET / part / row["file_name"]),
            row["name"],
            row["credit"],
            _year(row["file_name"]),
            part,
        )
        for part, row in chosen
    ]
    counts = {part: sum(1 for p, _ in rows if p == part) for part in imagefolder.PARTS}
    left_out = imagefolder.read_left_out(DATASET)
    return html_page.DatasetSummary(counts["train"], counts["holdout"], portraits, left_out)


def _hashes(params: Params, manifests: dict[str, samples.Samples]) -> list[tuple[str, str]]:
    """Name and SHA-256 of the base (and where it came from), the data, the judges and every adapter."""
    found = [("Base model", manifests["baseline"].base)]
    if manifests["baseline"].base_source is not None:
        found.append(("Base model from", manifests["baseline"].base_source))
    configs = [_json(ADAPTERS / name / "config.json", "train") for name in params.adapters]
    for key, name in (("dataset", "Data set"), ("encoded", "Encoded data set")):
        for value in sorted({str(config[key]) for config in configs if key in config}):
            found.append((name, value))
    for name, judge in _json(METRICS / "judges.json", "compare").items():
        found += [
            (f"Judge, {name}", hash)
            for file, hash in judge["sha256"].items()
            if file.endswith((".safetensors", ".pth"))
        ]
    return found + [
        (f"Adapter, {results_table.title(name).lower()}", str(manifests[name].adapter))
        for name in params.adapters
    ]


def _parameters(params: Params) -> str:
    """The resolved parameters but `selected` as YAML: one key per line, a list on its key's line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """A class of its own, so that no other YAML is written this way."""

    Dumper.add_representer(
        list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
    )
    values = params.model_dump(exclude={"selected"})
    return str(yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=80))


def _year(file_name: str) -> str:
    """844-1999-phy.png => 1999."""
    found = re.search(r"-(\d{4})-", file_name)
    return found[1] if found else ""


def _json(path: Path, verb: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; run `laureate {verb}` first") from None
