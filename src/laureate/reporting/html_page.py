"""The report page: rows, pictures and curves in, one HTML text out that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.comparison import published_results as published
from laureate.comparison import results_table
from laureate.evaluation import score_catalog
from laureate.reporting import charts
from laureate.reporting import contact_sheets as sheets

if TYPE_CHECKING:
    from PIL.Image import Image

SECTIONS = {
    "table": "The table",
    "ranks": "Scores against rank",
    "prompts": "Prompts",
    "tuned": "Baseline against tuned",
    "matrix": "Prompts × ranks",
    "reported": "Reported before",
    "losses": "Losses",
    "data": "The data",
    "exactly": "Exactly what ran",
}
NUMBERS = (
    "No",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
)


@dataclass(frozen=True)
class Shown:
    """One prompt and its picture from every model."""

    text: str
    pictures: dict[str, Image]  # model => RGB


@dataclass(frozen=True)
class Portrait:
    """A picture of the data set and whom to thank for it."""

    picture: Image
    name: str
    credit: str
    year: str
    part: str  # "train" or "holdout"


@dataclass(frozen=True)
class Data:
    """The data set: how many pictures, some of them, and what was left out and why."""

    train: int
    holdout: int
    portraits: list[Portrait]
    left_out: list[dict[str, str]]


@dataclass(frozen=True)
class Study:
    """Everything the page shows."""

    title: str
    selected: str  # the adapter that is put forward: the adviser's
    rows: list[results_table.Row]
    prompts: list[Shown]
    seed: int
    curves: dict[str, tuple[charts.Curve, charts.Curve]]
    data: Data
    parameters: str
    hashes: list[tuple[str, str]]
    bootstrap: int
    sheets: Sequence[str] = field(default=())  # file names under figures/
    missing: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict
    )  # external model => what never came
    published: published.Published | None = None  # what somebody else reported
    advice: Sequence[str] = field(default=())  # the rank adviser's sentences

    @property
    def models(self) -> list[str]:
        """Baseline, adapters and external models, in the order of the table."""
        return [str(row["model"]) for row in self.rows if row["model"] != "noise-floor"]

    @property
    def adapters(self) -> list[str]:
        """The adapters among them."""
        return [str(row["model"]) for row in self.rows if row["rank"]]


def render(study: Study) -> str:
    """The page as HTML text. The same study gives the same text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("laureate.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["title_of"] = results_table.title
    shown = [
        {"text": p.text, "pictures": {name: picture_uri(i, 256) for name, i in p.pictures.items()}}
        for p in study.prompts
    ]
    absent = set() if study.published else {"reported"}
    sections = [(anchor, name) for anchor, name in SECTIONS.items() if anchor not in absent]
    return environment.get_template("report.html.j2").render(
        title=study.title,
        version=__version__,
        sections=sections,
        findings=[*study.advice, *findings(study.rows, study.selected)],
        bootstrap=study.bootstrap,
        scores=results_table.shown(study.rows),
        asked=results_table.valued(study.rows),
        rows=_cells(study.rows),
        n_reference=study.rows[0]["n_reference"],
        selected=study.selected,
        selected_title=results_table.title(study.selected),
        models=study.models,
        adapters=study.adapters,
        missing=[_missing(name, rows) for name, rows in study.missing.items()],
        reported=published.cells(study.published, study.rows) if study.published else [],
        published=study.published,
        published_note=published.note(study.published) if study.published else "",
        panels=[
            {"src": svg_uri(charts.score_panel(study.rows, s)), "alt": f"{s.label} of every rank"}
            for s in results_table.valued(study.rows)
        ],
        prompts=shown,
        count_name=NUMBERS[len(shown)] if len(shown) < len(NUMBERS) else str(len(shown)),
        seed=study.seed,
        sheets=study.sheets,
        losses=svg_uri(charts.losses(study.curves, study.selected)),
        data={
            "train": study.data.train,
            "holdout": study.data.holdout,
            "left_out": study.data.left_out,
            "portraits": [vars(p) | {"src": picture_uri(p.picture, 128)} for p in study.data.portraits],
        },
        parameters=study.parameters,
        hashes=study.hashes,
    )


def findings(rows: Sequence[results_table.Row], selected: str) -> list[str]:
    """What the table says, in sentences that hold whatever the numbers are."""
    by_key = {score.key: score for score in score_catalog.SCORES}
    models = [row for row in rows if row["rank"] is not None]
    adapters = [row for row in models if row["rank"]]
    sentences = []
    kid = by_key["kid"]
    if adapters and all(row["kid"] is not None for row in models):
        best = min(adapters, key=lambda row: results_table.number(row, "kid"))
        value, interval = results_table.show(best, kid)
        text = f"The lowest KID of the adapters is {value} ({interval}), at rank {best['rank']}"
        start = [row for row in models if row["model"] == "baseline"]
        if start:
            base, around = results_table.show(start[0], kid)
            text += f"; the untuned base has {base} ({around})"
        tied = [
            str(row["rank"])
            for row in adapters
            if row["model"] in results_table.best(adapters, kid) and row is not best
        ]
        if tied:
            text += f". With this many pictures {_ranks(tied).lower()} cannot be told apart from it"
        sentences.append(text + ".")
    pair = [row for name in ("baseline", selected) for row in models if row["model"] == name]
    name = results_table.title(selected).lower()
    for key, text in (
        ("style_read", "The vision judge reads the style in {} of the base's pictures, and in {} of {}'s."),
        ("content", "Of what the prompts ask for it reads back {} in the base's pictures, and {} in {}'s."),
    ):
        if len(pair) == 2 and selected != "baseline" and all(row[key] is not None for row in pair):
            before, after = (results_table.show(row, by_key[key])[0] for row in pair)
            sentences.append(text.format(before, after, name))
    return sentences


def picture_uri(picture: Image, width: int) -> str:
    """RGB => data URI of a WebP of that width."""
    data = io.BytesIO()
    sheets.enlarge(picture, width).save(data, "WEBP", quality=84, method=4)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def svg_uri(text: str) -> str:
    """SVG text => data URI: a picture of its own, so that the ids of two charts never meet."""
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode("utf-8")).decode("ascii")


def _cells(rows: Sequence[results_table.Row]) -> list[dict[str, Any]]:
    """Rows as the template wants them: the models of the study, external ones, the noise floor last."""
    found = []
    for row in sorted(rows, key=lambda r: r["model"] == results_table.FLOOR):
        model = str(row["model"])
        cells = []
        for score in results_table.shown(rows):
            value, interval = results_table.show(row, score)
            mark = row[f"{score.key}_mark"] or ""
            cells.append({"value": value, "interval": interval, "mark": mark})
        kind = {"noise-floor": "floor", "baseline": "baseline"}.get(
            model, "adapter" if row["rank"] else "external"
        )
        found.append(
            {
                "model": model,
                "title": results_table.title(model),
                "kind": kind,
                "n": row["n_generated"],
                "cells": cells,
            }
        )
    return found


def _missing(model: str, rows: Sequence[dict[str, Any]]) -> str:
    """ "dall-e-3 lacks 3 pictures: 2 × refused: content policy; 1 × timed out" """
    from collections import Counter

    reasons = Counter(str(row.get("reason") or "no reason given").rstrip(".") for row in rows)
    listed = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
    return f"{model} lacks {len(rows)} picture{'s' if len(rows) > 1 else ''}: {listed}."


def _ranks(ranks: Sequence[str]) -> str:
    """["8", "16", "32"] => Ranks 8, 16 and 32."""
    return f"Rank {ranks[0]}" if len(ranks) == 1 else f"Ranks {', '.join(ranks[:-1])} and {ranks[-1]}"
