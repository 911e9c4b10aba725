"""Stage evaluate: score one model against the held-out portraits.

The noise floor is the score of the training portraits, the VAE ceiling that of the same portraits encoded
and decoded by the base's VAE: no adapter can pass what that loses. Writes the scores with their intervals,
and the evidence that they are computed from, so that compare can test differences between models without the
pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import REFERENCES, Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import DATASET, EVIDENCE, EXTERNAL, JUDGED, PLAIN, RECONSTRUCTED, SAMPLES, shared
from laureate.core.progress import progress
from laureate.evaluation import sanity_checks
from laureate.formats import external, imagefolder, prompts, samples

if TYPE_CHECKING:
    import numpy as np

    from laureate.evaluation.evidence import Evidence
    from laureate.evaluation.judges.panel import Panel, PictureSet

METRICS = Path("metrics/models")
FLOOR, CEILING = REFERENCES


@dataclass(frozen=True)
class Picture:
    """One picture to judge, and its prompt."""

    file: Path
    text: str
    prompt: str  # pictures of one prompt are one cluster of the bootstrap
    attributes: Mapping[str, str]  # attribute => class that the prompt names; empty where unknown
    name: str  # the same for two models' pictures of one prompt and seed
    training: int | None = None  # seed of the training of the adapter that drew it; None: no adapter of ours


def run(params: Params, model: str) -> None:
    """Score `model`: "noise-floor", "vae-ceiling", "baseline", "rank-N", or an external model.

    => metrics/models/NAME.json, data/evidence/NAME.safetensors. Raises LaureateError naming a file that is
    missing or that fails a check of `laureate.evaluation.sanity_checks`.
    """
    questions = prompts.load(params.sample.prompts)
    portraits = {part: real_pictures(part) for part in ("train", "holdout")}
    if model == FLOOR:
        generated, listing, verb = portraits["train"], DATASET / "train" / imagefolder.METADATA, "prepare"
    elif model == CEILING:
        generated, listing, verb = reconstructed(portraits["train"]), RECONSTRUCTED, "encode"
    elif model in params.external:
        generated, listing = external_pictures(model, questions), EXTERNAL / model / external.MANIFEST
        verb = f"images --model {model}"
    else:
        generated, listing = sampled_pictures(model, questions), samples.path_of(model)
        verb = f"sample --model {model}"
    sanity_checks.check_count(generated, listing, verb)
    sanity_checks.check_clusters([picture.prompt for picture in generated], listing)
    check_portraits(portraits, [question.text for question in questions])

    from laureate.evaluation import (  # late: a missing file has been reported by now
        evidence,
        feature_extraction,
        scoring,
    )
    from laureate.evaluation.copies import copied
    from laureate.evaluation.judges.panel import Panel, open_set

    sets = {part: open_set([picture.file for picture in pictures]) for part, pictures in portraits.items()}
    sets["generated"] = open_set([picture.file for picture in generated])
    if model in params.external or params.drawn_at != params.prepare.resolution:  # their size differs
        sanity_checks.check_sizes(sets["generated"].pairs())
        sets["generated"] = sets["generated"].fitted(params.prepare.resolution)
    drawn_here = model not in (*REFERENCES, *params.external)
    check_pictures(sets, params.sample.blank if drawn_here else 0.0)
    panel = Panel(params.evaluate, shared(JUDGED), params.panel)
    texts = [picture.text for picture in generated]
    extracted = feature_extraction.extract_evidence(
        panel,
        sets,
        model=model,
        names=[picture.name for picture in generated],
        texts=(texts, [prompts.without_style(text, params.prepare.style) for text in texts]),
        clusters=[picture.prompt for picture in generated],
        attributes=[picture.attributes for picture in generated],
        style=params.evaluate.style,
        of_portraits=model in REFERENCES,
    )
    extracted = replace(extracted, trainings=trainings_of(generated))
    if model not in REFERENCES:
        copies = {"copies": copied(panel, sets["generated"], sets["train"], sets["holdout"])}
        extracted = replace(extracted, values={**extracted.values, **copies})
    if model not in (*REFERENCES, *params.external):
        extracted = with_drift(params, panel, extracted, questions)
    values: dict[str, float | int | None] = {
        "n_generated": len(generated),
        "n_prompts": len(set(extracted.clusters)),
        "n_reference": len(portraits["holdout"]),
    }
    evaluate = params.evaluate
    resamples = scoring.resamples_of(extracted, len(portraits["holdout"]), evaluate)
    chosen = scoring.scores_of(extracted, evaluate.neighbours)
    draws: dict[str, np.ndarray] = {}
    for key, score in progress(chosen.items(), len(chosen), f"evaluate {model}"):
        if score is None:
            values |= scoring.columns(key, None)
            continue
        estimate, draws[key] = scoring.estimate(key, score, resamples)
        values |= scoring.columns(key, estimate)
    values |= scoring.original(
        extracted,
        first_of_seeds(generated, questions),
        feature_extraction.original_fid_features(panel, sets),
    )
    evidence.save(
        EVIDENCE / f"{model}.safetensors",
        replace(extracted, draws=draws, settings=scoring.settings_of(evaluate)),
    )
    write_json(METRICS / f"{model}.json", values)


def with_drift(
    params: Params, panel: Panel, extracted: Evidence, questions: Sequence[prompts.Prompt]
) -> Evidence:
    """The evidence of a base or an adapter with the values of its pictures in data/plain.

    Raises LaureateError where base and adapter have pictures of other prompts there, or one is blank.
    """
    from laureate.evaluation import drift
    from laureate.evaluation.judges.panel import open_set

    model, base = extracted.model, "baseline"
    own, of_base = (
        drawn_pictures(PLAIN / name, samples.read(name, PLAIN).pictures, questions) for name in (model, base)
    )
    if [(picture.name, picture.text) for picture in own] != [(one.name, one.text) for one in of_base]:
        raise LaureateError(
            f"{PLAIN / model} and {PLAIN / base} have pictures of different prompts or seeds; "
            f"run `laureate sample --model {model}` and `laureate sample --model {base}` again"
        )
    if not own:
        return extracted
    sets = [open_set([picture.file for picture in pictures]) for pictures in (own, of_base)]
    for pictures in sets:
        sanity_checks.check_not_blank(pictures.pairs())
    if params.drawn_at != params.prepare.resolution:
        sets = [pictures.fitted(params.prepare.resolution) for pictures in sets]
    plain = drift.PlainPictures(
        sets[0],
        [picture.name for picture in own],
        [picture.text for picture in own],
        [picture.attributes for picture in own],
    )
    found = drift.drift_values(
        panel, extracted.pictures, plain, None if model == base else sets[1], params.evaluate.style
    )
    return replace(extracted, values={**extracted.values, **found})


def reconstructed(portraits: Sequence[Picture]) -> list[Picture]:
    """The training portraits as `encode` decodes them again, in data/reconstructed."""
    return [
        replace(picture, file=RECONSTRUCTED / Path(picture.file.name).with_suffix(".png"))
        for picture in portraits
    ]


def check_portraits(portraits: Mapping[str, Sequence[Picture]], texts: Sequence[str]) -> None:
    """Checks that need no picture: too few portraits, or a prompt that is a caption."""
    for part, pictures in portraits.items():
        sanity_checks.check_count(pictures, DATASET / part / imagefolder.METADATA, "prepare")
    captions = {picture.file: picture.text for pictures in portraits.values() for picture in pictures}
    sanity_checks.check_prompts(texts, captions)


def check_pictures(sets: Mapping[str, PictureSet], blank: float) -> None:
    """Refuse blank pictures, pictures of several sizes, and held-out portraits that were trained on.

    `blank`: the share of blank pictures that sample lets a model of the study draw (0..1); they are a fault
    of the model, which its scores show.
    """
    for part, pictures in sets.items():
        said = sanity_checks.check_not_blank(pictures.pairs(), blank if part == "generated" else 0.0)
        if said:
            print(said, file=sys.stderr)
    sanity_checks.check_sizes([pair for pictures in sets.values() for pair in pictures.pairs()])
    sanity_checks.check_disjoint(sets["train"].pairs(), sets["holdout"].pairs())


def trainings_of(generated: Sequence[Picture]) -> list[int]:
    """The training that drew each picture, where there are several; else nothing."""
    found = [picture.training for picture in generated if picture.training is not None]
    return found if len(found) == len(generated) and len(set(found)) > 1 else []


def first_of_seeds(generated: Sequence[Picture], questions: Sequence[prompts.Prompt]) -> list[int]:
    """Rows of the first picture of each prompt of the set "seed", sorted by file name."""
    wanted = {question.id for question in questions if question.set == "seed"}
    firsts: dict[str, int] = {}
    for row, picture in enumerate(generated):
        if picture.prompt in wanted:
            firsts.setdefault(picture.prompt, row)
    return sorted(firsts.values(), key=lambda row: generated[row].file.name)


def sampled_pictures(model: str, questions: Sequence[prompts.Prompt]) -> list[Picture]:
    """The pictures that data/samples/NAME/manifest.json lists, with the attributes of their prompts."""
    return drawn_pictures(SAMPLES / model, samples.read(model).pictures, questions)


def external_pictures(model: str, questions: Sequence[prompts.Prompt]) -> list[Picture]:
    """The pictures of data/external/NAME that are there, with the attributes of their prompts."""
    return drawn_pictures(EXTERNAL / model, external.read(model, questions).drawn, questions)


def drawn_pictures(
    folder: Path, rows: Sequence[Mapping[str, Any]], questions: Sequence[prompts.Prompt]
) -> list[Picture]:
    """The pictures of a manifest's rows; a prompt that is not asked any more has no attributes."""
    asked = {question.id: question.attributes for question in questions}
    return [
        Picture(
            folder / row["file"],
            row["text"],
            row["prompt"],
            asked.get(row["prompt"], {}),
            f"{row['prompt']}_{row['seed']}",
            row.get("training"),
        )
        for row in rows
    ]


def real_pictures(part: str) -> list[Picture]:
    """The portraits of data/dataset/PART with their captions, each a cluster of its own."""
    return [
        Picture(DATASET / part / row["file_name"], row["text"], row["file_name"], {}, row["file_name"])
        for row in imagefolder.read_metadata(DATASET / part)
    ]
