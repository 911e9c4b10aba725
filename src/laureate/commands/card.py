"""`laureate card`: write an adapter and its model card into one folder, ready for a model hub.

The card is `templates/card.md`, filled with the measured scores and the recorded training recipe.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from laureate.commands import adapter_choice, export
from laureate.commands.adapter_choice import Choice
from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_text
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, COMPARISON, DATASET, adapter_folder
from laureate.evaluation import score_catalog
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    import pandas as pd

    from laureate.networks.lora.adapter import Adapter

TEMPLATE = Path(__file__).with_name("templates") / "card.md"
LOOPBACK = ("127.0.0.1", "localhost", "::1")  # where the museum of invented laureates is served
RIGHTS_OWN = "portraits, base and adapter are this project's own work and under its licence."
RIGHTS_UNKNOWN = (
    "not cleared. The portraits belong to their makers; weights trained on them must not be published before "
    "whoever holds the rights has agreed."
)


def run(
    params: Params,
    rank: int,
    rights: str = "",
    arm: str | None = None,
    step: int | None = None,
    strength: float | None = None,
) -> Path:
    """models/lora/rank-N => exports/rank-N: README.md, the weights for diffusers and for Kohya, config.json.

    `rights`: who allows the training pictures to be used, in words; it goes onto the card. `arm`, `step` and
    `strength`: see `adapter_choice.choose`; they end the folder's name. Raises LaureateError as that does,
    for an adapter that is missing or of another base, and for a table without its row.
    """
    from laureate.networks.lora import adapter_state
    from laureate.sampling.choosing import choice as choices
    from laureate.sampling.pipeline import check_adapter

    base = base_model.expected(params.base)
    check_adapter(adapter_folder(rank), base)
    choice = adapter_choice.choose(rank, arm, step, strength, choices.read(params, rank))
    rows = results_table.read_csv(COMPARISON)
    if f"rank-{rank}" not in rows.index:
        raise LaureateError(f"{COMPARISON} has no row for rank-{rank}; run `laureate compare`")
    config = adapter_config.read(choice.folder)
    state, adapter = adapter_state.load_arrays(choice.folder, choice.strength)
    origin = {"format": "pt"} | export.origin(choice, base)
    kohya_file = (
        f"{choice.name}-kohya.safetensors" if adapter.variant == "lora" else None
    )  # DoRA has no such form
    found = sources(config["dataset"])
    text = card(params, rows, choice, adapter, config, origin, found, rights, kohya_file)
    target = export.EXPORTS / choice.name
    with fresh_folder(target) as new:
        header = origin | adapter_state.header(choice.folder, choice.strength)
        safetensors_io.save(new / ADAPTER_WEIGHTS, state, header)
        if kohya_file:
            header = origin | export.kohya_metadata(adapter, base)
            safetensors_io.save(new / kohya_file, export.kohya(state, adapter), header)
        shutil.copy(choice.folder / ADAPTER_CONFIG, new / ADAPTER_CONFIG)
        write_text(new / "README.md", text)
    print(f"{target}: a model card and the adapter")
    return target


def sources(dataset: str) -> set[str] | None:
    """The hosts that the training pictures came from; None if data/dataset does not have the hash `dataset`.

    Raises nothing: a data set that cannot be read has unknown sources.
    """
    from laureate.formats.imagefolder import dataset_fingerprint, read_metadata

    try:
        if dataset_fingerprint(DATASET) != dataset:
            return None
        images = [str(row["address"]) for row in read_metadata(DATASET / "train")]
        hosts = {urlsplit(image).hostname for image in images}
    except (OSError, ValueError, KeyError, TypeError, LaureateError):
        return None
    return {host for host in hosts if host} if hosts and None not in hosts else None


def is_own_work(hosts: set[str] | None) -> bool:
    """Whether this project drew all training pictures itself, so that the adapter may be given away."""
    return hosts is not None and hosts <= set(LOOPBACK)


def card(
    params: Params,
    rows: pd.DataFrame,
    choice: Choice,
    adapter: Adapter,
    config: Mapping[str, Any],
    origin: Mapping[str, str],
    hosts: set[str] | None,
    rights: str = "",
    kohya_file: str | None = None,
) -> str:
    """The model card of one adapter as Markdown with its YAML head.

    `rows`: the table of all models; `choice`: the weights that are given away; `config`: the adapter's
    config.json; `origin`: as `export.origin` gives it; `hosts`: as `sources` gives it; `kohya_file`: the name
    of the file for Kohya's scripts, if any.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    name = f"rank-{choice.rank}"
    row = results_table.metrics_of(rows, name)
    measured = choice.chosen  # sample drew that
    results = [  # none for weights that were not measured
        EvalResult(
            task_type="text-to-image", dataset_type="laureate", dataset_name="held-out portraits",
            metric_type=score.key, metric_name=score.label, metric_value=row[score.key],
        )
        for score in score_catalog.SCORES
        if score.key in row and measured
    ]  # fmt: skip
    own = is_own_work(hosts)
    data = ModelCardData(
        license="apache-2.0" if own else "other",
        library_name="diffusers",
        pipeline_tag="text-to-image",
        tags=["lora", "stable-diffusion", "text-to-image"],
        model_name=f"laureate {name}",
        eval_results=results,
    )
    filled = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        name=name,
        choice=choice,
        measured=measured,
        trainings=len(params.train.seeds),
        rank=config["rank"],
        adapter=adapter,
        style=params.prepare.style,
        base_path=params.base.path,
        text_encoder=config["train"]["text_encoder"],
        hyperparameters={"precision": config["precision"], **_given(config["train"])},
        pictures=_origin_of_pictures(hosts),
        own=own,
        rights=rights or (RIGHTS_OWN if own else RIGHTS_UNKNOWN),
        origin=origin,
        kohya_file=kohya_file,
        row=row,
        scores=[score for score in score_catalog.SCORES if score.key in row],
        table=results_table.to_markdown(rows),
    )
    return f"{str(filled).strip()}\n"


def _given(values: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that have a value, as text: null and empty lists are left out."""
    return {
        key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in values.items()
        if value is not None and value != []
    }


def _origin_of_pictures(hosts: set[str] | None) -> str:
    """Where the training pictures are from, to be put after the word "Portraits"."""
    if is_own_work(hosts):
        return "drawn by the project itself, of invented people"
    return f"from {', '.join(sorted(hosts))}" if hosts else "whose source is not known here"
