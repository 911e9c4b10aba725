"""`laureate card`: an adapter and its model card in one folder, as a hub of models wants them.

The card is `huggingface_hub`'s template, filled with what was measured; what nobody knows is left out of it.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from laureate.commands import export
from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_text
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ADAPTERS, COMPARISON, DATASET
from laureate.evaluation import score_catalog
from laureate.networks.diffusion import base_model
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    import pandas as pd

GAP = "[More Information Needed]"
OWN = ("127.0.0.1", "localhost", "::1")  # where the museum of invented laureates is served


def run(params: Params, rank: int, rights: str = "") -> Path:
    """models/lora/rank-N => exports/rank-N: README.md, the weights for diffusers and for Kohya, config.json.

    `rights`: who allows the training pictures to be used, in words; it goes onto the card. Raises
    LaureateError for an adapter that is missing or of another base, and for a table without its row.
    """
    from laureate.networks.lora import adapter_files
    from laureate.sampling.pipeline import check_adapter

    name, folder = f"rank-{rank}", ADAPTERS / f"rank-{rank}"
    found = base_model.expected(params.base)
    check_adapter(folder, found)
    rows = results_table.read_csv(COMPARISON)
    if name not in rows.index:
        raise LaureateError(f"{COMPARISON} has no row for {name}; run `laureate compare`")
    state, adapter = adapter_files.load(folder)
    about = {"format": "pt"} | export.origin(folder, found, rank)
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    text = card(
        params, rows, name, config, about, sources(config.get("dataset")), rights, adapter.variant == "lora"
    )
    target = export.EXPORTS / name
    with fresh_folder(target) as new:
        header = about | {
            adapter_files.METADATA: safetensors_io.metadata(folder / ADAPTER_WEIGHTS)[adapter_files.METADATA]
        }
        safetensors_io.save(new / ADAPTER_WEIGHTS, state, header)
        if adapter.variant == "lora":  # others have no such form
            header = about | export.kohya_metadata(adapter, found)
            safetensors_io.save(new / f"{name}-kohya.safetensors", export.kohya(state, adapter), header)
        shutil.copy(folder / ADAPTER_CONFIG, new / ADAPTER_CONFIG)
        write_text(new / "README.md", text)
    print(f"{target}: a model card and the adapter")
    return target


def sources(dataset: str | None) -> set[str] | None:
    """The hosts that the training pictures are from; None where data/dataset is not what `dataset` hashes.

    Raises nothing: what cannot be read is not known.
    """
    from laureate.formats.imagefolder import dataset_fingerprint

    listing = DATASET / "train" / "metadata.jsonl"
    try:
        if dataset is None or dataset_fingerprint(DATASET) != dataset:
            return None
        lines = listing.read_text(encoding="utf-8").splitlines()
        images = [str(json.loads(line)["address"]) for line in lines if line.strip()]
        hosts = {urlsplit(image).hostname for image in images}
    except (OSError, ValueError, KeyError, LaureateError):
        return None
    return {host for host in hosts if host} if hosts and None not in hosts else None


def is_free(hosts: set[str] | None) -> bool:
    """Whether this project drew all training pictures itself, so that what learnt them may be given away."""
    return hosts is not None and hosts <= set(OWN)


def card(
    params: Params,
    rows: pd.DataFrame,
    name: str,
    config: dict[str, Any],
    about: dict[str, str],
    hosts: set[str] | None,
    rights: str,
    kohya: bool = True,
) -> str:
    """The model card of one adapter as Markdown with its YAML head; `kohya`: that file lies beside it."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    row = results_table.metrics_of(rows, name)
    results = [
        EvalResult(
            task_type="text-to-image", dataset_type="laureate", dataset_name="held-out portraits",
            metric_type=score.key, metric_name=score.label, metric_value=row[score.key],
        )
        for score in score_catalog.SCORES
        if score.key in row
    ]  # fmt: skip
    free = is_free(hosts)
    data = ModelCardData(
        license="apache-2.0" if free else "other",
        library_name="diffusers",
        pipeline_tag="text-to-image",
        tags=["lora", "stable-diffusion", "text-to-image"],
        model_name=f"laureate {name}",
        eval_results=results,
    )
    train = config.get("train", {})
    also = train.get("text_encoder", [])
    recipe = ", ".join(
        f"{key} {value}" for key, value in train.items() if isinstance(value, (str, int, float))
    )
    pictures = "drawn by the project itself, of invented people" if free else _from(hosts)
    filled = ModelCard.from_template(
        data,
        model_id=f"laureate, {name}",
        model_summary=f"A LoRA adapter of rank {config['rank']}, α {config['alpha']:g}, that draws portraits "
        f"“{params.prepare.style}”.",
        model_type="LoRA adapter for the attention layers of a Stable Diffusion UNet"
        + (f", and for {', '.join(also)} of its text encoder" if also else ""),
        license="Apache-2.0" if free else "see Rights",
        base_model=f"{about['laureate.base_source']}, SHA-256 of its files `{about['laureate.base']}`",
        direct_use=f"Draw portraits in this one style. End a prompt with “, {params.prepare.style}.”. The "
        "adapter belongs to the base named above and to no other.",
        out_of_scope_use="Pictures that pass for portraits by the artist, for official portraits of a "
        "laureate, or for a statement about a living person.",
        bias_risks_limitations="Trained on few portraits of one hand, it repeats whom they show and how. A "
        "small rank keeps some of the base's looks, a large one may repeat training pictures.",
        bias_recommendations="Say that a picture was drawn by a model; ask whom it portrays first.",
        get_started_code=_start(name, params, kohya),
        training_data=f"Portraits {pictures}; SHA-256 of the data set `{about['laureate.dataset']}`."
        + f"\n\n**Rights**: {rights or (FREE if free else RIGHTS)}",
        training_regime=f"{config.get('precision', 'see config.json')}; {recipe}" if recipe else GAP,
        testing_data=f"{row['n_reference']} held-out portraits; {row['n_generated']} pictures per model.",
        testing_metrics="; ".join(f"{score.label}: {score.asks}" for score in score_catalog.SCORES)
        + ". Value and 95 % interval; what they rest on is in the project's README.",
        results=results_table.to_markdown(rows),
        software=f"laureate {about['laureate.version']}, commit `{about['laureate.commit']}`",
    )
    return without_gaps(str(filled))


FREE = "portraits, base and adapter are this project's own work and under its licence."
RIGHTS = (
    "not cleared. The portraits belong to their makers; weights trained on them must not be published before "
    "whoever holds the rights has agreed."
)


def without_gaps(text: str) -> str:
    """A filled template without its comments, its unfilled lines, and headings that are left with nothing."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).replace(" [optional]", "")
    head, body = text.split("\n---\n", 1)
    body = re.sub(rf"^\*\*[^*\n]+\*\*\s+{re.escape(GAP)}$", "", body, flags=re.MULTILINE)  # **BibTeX:**
    body = re.sub(r"^Carbon emissions can be .*$", "", body, flags=re.MULTILINE)  # nobody measured them
    blocks = re.split(r"^(?=#+ )", body, flags=re.MULTILINE)
    kept: list[str] = []
    for block in reversed(blocks):  # from the end: a heading stays for what is kept below it
        lines = [line.rstrip() for line in block.splitlines() if GAP not in line]
        level = len(lines[0]) - len(lines[0].lstrip("#")) if lines else 0
        content = any(line.strip() for line in lines[1:]) or level == 0
        below = bool(kept) and kept[0].startswith("#" * (level + 1))
        if lines and (content or below or level == 1):
            kept.insert(0, "\n".join(lines))
    return head + "\n---\n" + re.sub(r"\n{3,}", "\n\n", "\n\n".join(kept)).strip() + "\n"


def _from(hosts: set[str] | None) -> str:
    return f"from {', '.join(sorted(hosts))}" if hosts else "whose source is not known here"


def _start(name: str, params: Params, kohya: bool) -> str:
    text = (
        "```python\nfrom diffusers import StableDiffusionPipeline\n\n"
        f'pipeline = StableDiffusionPipeline.from_pretrained("{params.base.path}")\n'
        'pipeline.load_lora_weights("FOLDER OF THIS CARD")\n'
        f'pipeline("A wise man with glasses, {params.prepare.style}.").images[0].save("wise.png")\n```'
    )
    beside = f"\n\n`{name}-kohya.safetensors` is the same adapter for Kohya's scripts and ComfyUI."
    return text + beside if kohya else text
