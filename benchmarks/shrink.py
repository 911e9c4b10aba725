"""shrink: the largest adapter of a study cut to every smaller rank, beside the ranks that were trained.

The whole panel scores both over the same prompts and noise; the table is in docs/ranks.md.

Run it in the folder of a finished study with one training seed. Cut adapters and their pictures are kept in
.work/shrink under the hash of the adapter that was cut.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, sha256_file
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, EVIDENCE, WORK, adapter_folder
from laureate.embedded.oracle import ranks_page

if TYPE_CHECKING:
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.config.params import Params

KEYS = ("kid_imagenet", "kid", "kid_clip", "style_imagenet", "style")  # those that the judges have
BUDGETS = ("layer", "global")
LEVEL = 0.05
COLUMNS = {"rank": "rank", "budget": "budget", "kept": "norm kept", "score": "score", "trained": "trained",
           "cut": "cut", "difference": "cut − trained", "p_holm": "p"}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark, --budgets and --page."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS[:1]))
    parser.add_argument("--page", type=Path, default=ranks_page.PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Cut, draw, score, compare; write the JSON, and its table into the page."""
    from laureate.config import params as config

    params = config.load()
    if len(params.train.seeds) > 1:
        raise LaureateError(
            f"the study has {len(params.train.seeds)} training seeds, and a cut adapter comes from one of "
            "them: set train.seeds to one and run the study"
        )
    large, *_ = ranks = sorted(params.ranks, reverse=True)
    smaller = sorted(ranks[1:])
    if options.quick:
        smaller = smaller[:1]
    if not smaller:
        raise LaureateError(f"the study has one rank, {large}: there is none to cut it to")
    rows: list[dict[str, Any]] = []
    models = {f"rank-{rank}": trained(params, rank) for rank in (*smaller, large)}
    for budget in options.budgets:
        for rank in smaller:
            kept, models[_name(rank, budget)] = cut(params, large, rank, budget)
            rows += rows_of(models, large, rank, budget, kept)
    rows = corrected(rows)
    path = harness.report(
        "shrink",
        options,
        [row | {"difference": _interval(row, "difference")} for row in rows],
        COLUMNS,
        large=large,
        pictures=len(models[f"rank-{large}"].evidence.pictures),
        portraits=models[f"rank-{large}"].references,
        measured=rows,
    )
    ranks_page.write("shrink", part(harness.read(path)), options.page)


def trained(params: Params, rank: int) -> ScoredModel:
    """An adapter of the study, from its evidence."""
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.evaluation import evidence

    found = evidence.load(EVIDENCE / f"rank-{rank}.safetensors", f"rank-{rank}")
    return ScoredModel(found, len(found.sets["looks"][1]), params.evaluate)


def cut(params: Params, large: int, rank: int, budget: Any) -> tuple[float, ScoredModel]:
    """Cut the adapter `large` to `rank`, draw all pictures of the study with it => (the share of the squared
    norm that is kept, the scored model)."""
    import json

    from laureate.commands import shrink

    key = sha256_file(adapter_folder(large) / ADAPTER_WEIGHTS)[:12]
    folder = WORK / "shrink" / key / _name(rank, budget)
    adapter = shrink.run(params, large, rank, budget, str(folder / "adapter"))
    kept = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["cut"]["kept"]
    return kept, scored(params, _name(rank, budget), drawn(params, adapter, folder / "pictures"))


def drawn(params: Params, adapter: Path, folder: Path) -> list[Path]:
    """One picture per prompt and seed of the study, in `folder`, unless they are there => their files."""
    from laureate.core.progress import progress
    from laureate.formats import prompts
    from laureate.networks.diffusion import base_model
    from laureate.sampling import pipeline
    from laureate.stages.sample import name_of

    pairs = [(p, seed) for p in prompts.load(params.sample.prompts) for seed in params.sample.seeds]
    files = [folder / name_of(*pair) for pair in pairs]
    if not all(file.is_file() for file in files):
        pictures = pipeline.draw(base_model.expected(params.base), adapter, pairs, params)
        with fresh_folder(folder) as new:
            for file, picture in zip(files, progress(pictures, len(files), folder.parent.name), strict=True):
                picture.save(new / file.name)
    return files


def scored(params: Params, name: str, files: Sequence[Path]) -> ScoredModel:
    """Pictures of all prompts and seeds of the study, as the stage evaluate scores them, but for copies and
    drift."""
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.core.paths import shared
    from laureate.evaluation import feature_extraction, scoring
    from laureate.evaluation.judges.panel import Panel, open_set
    from laureate.formats import prompts
    from laureate.stages import evaluate

    asked = prompts.load(params.sample.prompts)
    pairs = [(prompt, seed) for prompt in asked for seed in params.sample.seeds]
    portraits = {part: evaluate.real_pictures(part) for part in ("train", "holdout")}
    sets = {part: open_set([picture.file for picture in of]) for part, of in portraits.items()}
    sets["generated"] = open_set(list(files))
    if params.drawn_at != params.prepare.resolution:
        sets["generated"] = sets["generated"].fitted(params.prepare.resolution)
    texts = [prompt.text for prompt, _ in pairs]
    found = feature_extraction.extract_evidence(
        Panel(params.evaluate, shared(evaluate.JUDGED), params.panel),
        sets,
        model=name,
        names=[f"{prompt.id}_{seed}" for prompt, seed in pairs],
        texts=(texts, [prompts.without_style(text, params.prepare.style) for text in texts]),
        clusters=[prompt.id for prompt, _ in pairs],
        attributes=[prompt.attributes for prompt, _ in pairs],
        style=params.evaluate.style,
    )
    references = len(portraits["holdout"])
    return ScoredModel(scoring.drawn(found, references, params.evaluate), references, params.evaluate)


def rows_of(
    models: Mapping[str, ScoredModel], large: int, rank: int, budget: str, kept: float
) -> list[dict[str, Any]]:
    """One row per score of `KEYS` that the models have: trained, cut and uncut, and the paired differences of
    the cut adapter to both, with 95 % intervals and p-values."""
    from laureate.comparison.paired_tests import paired_test
    from laureate.evaluation import score_catalog

    labels = {column.key: column.label for column in score_catalog.SCORES}
    own, small, whole = _name(rank, budget), f"rank-{rank}", f"rank-{large}"
    rows = []
    for key in KEYS:
        tests = {
            title: test
            for title, other in (("difference", small), ("to_uncut", whole))
            if (test := paired_test(key, own, other, models)) is not None
        }
        if len(tests) < 2:  # no judge for it
            continue
        values = {"trained": small, "cut": own, "uncut": whole}
        rows.append(
            {"rank": rank, "budget": budget, "kept": kept, "key": key, "score": labels[key]}
            | {title: float(models[name].scores[key]()) for title, name in values.items()}
            | {
                f"{title}{end}": test[part]
                for title, test in tests.items()
                for part, end in (("value", ""), ("low", "_low"), ("high", "_high"), ("p", "_p"))
            }
        )
    return rows


def corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with `p_holm`, of "a cut adapter is as far as a trained one", over ranks and scores of a
    budget."""
    from laureate.evaluation.scores import holm

    found = []
    for budget in dict.fromkeys(row["budget"] for row in rows):
        own = [row for row in rows if row["budget"] == budget]
        adjusted = holm([row["difference_p"] for row in own])
        found += [row | {"p_holm": p} for row, p in zip(own, adjusted, strict=True)]
    return found


def part(result: Mapping[str, Any]) -> str:
    """The part of docs/ranks.md, from the JSON that `run` writes."""
    rows, large = result["measured"], result["large"]
    budgets = list(dict.fromkeys(row["budget"] for row in rows))
    tables = "\n\n".join(
        _table([row for row in rows if row["budget"] == budget], budget) for budget in budgets
    )
    return f"""## Is a large rank cut down as good as a small one trained?

Written by `python -m benchmarks shrink` in the folder of a finished study. Rank {large} is cut to each
smaller rank by its singular values (`laureate shrink`), draws the study's {result["pictures"]} pictures from
the same prompts and noise, and is scored against the same {result["portraits"]} held-out portraits. *Norm
kept*: share of the squared Frobenius norm of all updates. Differences are paired picture by picture, with
95 % intervals; below 0 the cut adapter is nearer to the portraits. *p*: of "no difference to the trained
rank", by permutation within prompts, which takes the portraits as given, corrected by Holm over all rows of
a table. One training of each rank, all with the same learning rate: what another seed or rate would change
is not in these intervals.

{tables}

{_said(rows, large)}"""


def _table(rows: Sequence[Mapping[str, Any]], budget: str) -> str:
    lines = [
        {
            "rank": row["rank"],
            "kept": f"{100 * row['kept']:.1f} %",
            "score": row["score"],
            **{title: f"{row[title]:.4f}" for title in ("trained", "cut", "uncut")},
            "difference": _interval(row, "difference"),
            "p": f"{row['p_holm']:.3f}",
            "to_uncut": _interval(row, "to_uncut"),
        }
        for row in sorted(rows, key=lambda row: (row["rank"], KEYS.index(row["key"])))
    ]
    titles = {name: name for name in ("rank", "kept", "score", "trained", "cut", "difference", "p", "uncut")}
    titles |= {"kept": "norm kept", "difference": "cut − trained", "to_uncut": "cut − uncut"}
    said = {"layer": "The same rank in every layer (`--budget layer`):",
            "global": "As many singular values over all layers together (`--budget global`):"}  # fmt: skip
    return f"{said[budget]}\n\n{harness.table(lines, titles, markdown=True)}"


def _said(rows: Sequence[Mapping[str, Any]], large: int) -> str:
    """How many differences are beyond chance, and the smallest rank that keeps what the uncut adapter has."""
    from laureate.evaluation.scores import holm

    sentences = []
    for budget in dict.fromkeys(row["budget"] for row in rows):
        own = [row for row in rows if row["budget"] == budget]
        beyond = [row for row in own if row["p_holm"] <= LEVEL]
        better, worse = ([row for row in beyond if sign * row["difference"] > 0] for sign in (-1, 1))
        to_uncut = holm([row["to_uncut_p"] for row in own])
        lost = {
            row["rank"] for row, p in zip(own, to_uncut, strict=True) if p <= LEVEL and row["to_uncut"] > 0
        }
        keeps = [rank for rank in sorted({row["rank"] for row in own}) if rank not in lost]
        kept = (
            f"rank {keeps[0]} is the smallest that is by no score farther than the uncut rank {large}"
            if keeps
            else f"by some score every rank is farther than the uncut rank {large}"
        )
        sentences.append(
            f"- `--budget {budget}`: nearer than the rank trained alone beyond chance in {len(better)} of "
            f"{len(own)} rows{_listed(better)}; farther in {len(worse)}{_listed(worse)}. Of the cut adapters "
            f"{kept} beyond chance (Holm over the rows)."
        )
    return "\n".join(sentences)


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Score by score the ranks: (KID: 4, 8; CLIP: 4)."""
    ranks: dict[str, list[str]] = {}
    for row in rows:
        ranks.setdefault(row["score"], []).append(str(row["rank"]))
    said = "; ".join(f"{score}: {', '.join(of)}" for score, of in ranks.items())
    return f" ({said})" if ranks else ""


def _interval(row: Mapping[str, Any], key: str) -> str:
    """A difference with its interval: +0.012 (+0.003 to +0.021)."""
    return harness.interval(row[key], row[f"{key}_low"], row[f"{key}_high"])


def _name(rank: int, budget: str) -> str:
    return f"cut-to-{rank}" + ("-global" if budget == "global" else "")
