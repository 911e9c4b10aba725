"""The report page: tables, pictures and curves in, one HTML text out that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.comparison import published_results, results_table
from laureate.evaluation import score_catalog
from laureate.reporting import blind_vote, charts, contact_sheets, recommendation, score_bars
from laureate.reporting.findings import findings
from laureate.reporting.gallery import Gallery
from laureate.reporting.templating import environment

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from laureate.evaluation.score_catalog import ScoreColumn

SECTIONS = {  # anchor => heading
    "table": "Scores of all models",
    "judges": "Every rank by every judge",
    "explore": "Through the ranks on one noise",
    "ranks": "Scores against rank",
    "prompts": "One picture per prompt",
    "tuned": "Baseline against tuned",
    "matrix": "Prompts × ranks",
    "vote": "Blind vote",
    "reported": "Results of the original study",
    "losses": "Training and held-out loss",
    "data": "Data set",
    "exactly": "Parameters and hashes",
}


@dataclass(frozen=True)
class PromptPictures:
    """One prompt and its picture from every model."""

    text: str
    pictures: dict[str, Image]  # model => RGB


@dataclass(frozen=True)
class Portrait:
    """A picture of the data set with its credit."""

    picture: Image
    name: str
    credit: str
    year: str
    part: str  # "train" or "holdout"


@dataclass(frozen=True)
class DatasetSummary:
    """The data set: numbers of pictures, some of them, and what was left out with the reason."""

    train: int
    holdout: int
    portraits: list[Portrait]
    left_out: list[dict[str, str]]


@dataclass(frozen=True)
class PageContent:
    """Everything on the page."""

    title: str
    selected: str  # the adapter that is put forward: the adviser's
    table: pd.DataFrame  # as in results_table
    advice: Mapping[str, Any]  # of the rank adviser, as in metrics/adviser.json
    prompts: list[PromptPictures]
    seed: int  # of the pictures
    curves: Mapping[str, pd.DataFrame]  # adapter => loss curves, as in charts
    data: DatasetSummary
    gallery: Gallery
    parameters: str  # YAML
    hashes: list[tuple[str, str]]  # name, SHA-256
    bootstrap: int  # resamples
    sheets: Sequence[str] = field(default=())  # file names under figures/
    judges: Mapping[str, Any] = field(default_factory=dict)  # as in metrics/judges.json
    missing: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # external model => pictures
    published: published_results.Published | None = None

    @property
    def models(self) -> list[str]:
        """Baseline, adapters and external models, in the order of the table."""
        return [name for name in self.table.index if name not in results_table.REFERENCES]

    @property
    def adapters(self) -> list[str]:
        """The adapters among them."""
        return list(self.table.index[self.table["rank"].fillna(0) > 0])


def render(content: PageContent) -> str:
    """The page as HTML text. The same content gives the same text."""
    table, published = content.table, content.published
    absent = set() if published else {"reported"}
    answer = recommendation.answer(content.advice)
    absent |= set() if answer["by_judge"] else {"judges"}
    absent |= set() if content.gallery.noises else {"explore"}
    absent |= set() if blind_vote.can_vote(content.gallery) else {"vote"}
    scores = results_table.scores_with_values(table)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=content.title,
            version=__version__,
            headings=SECTIONS,
            sections=[(anchor, name) for anchor, name in SECTIONS.items() if anchor not in absent],
            shown=set(SECTIONS) - absent,
            answer=answer,
            eyes=whose_eyes(content.judges),
            findings=findings(table, content.selected),
            bootstrap=content.bootstrap,
            scores=scores,
            more=not all(score.leads for score in scores),
            rows=table_rows(table),
            n_reference=table["n_reference"].iloc[0],
            selected=content.selected,
            selected_title=results_table.title(content.selected),
            models=content.models,
            adapters=content.adapters,
            missing=[_missing(name, rows) for name, rows in content.missing.items()],
            reported=published_results.side_by_side(published, table) if published else None,
            published=published,
            published_note=published_results.note(published) if published else "",
            panels=[
                {"src": svg_uri(charts.score_panel(table, score)), "alt": _describe(table, score)}
                for score in scores
            ],
            prompts=[
                {"text": p.text, "pictures": {name: picture_uri(i, 256) for name, i in p.pictures.items()}}
                for p in content.prompts
            ],
            pictures=content.gallery.as_data() if content.gallery.noises else None,
            with_distances=any(noise.nearest for noise in content.gallery.noises),
            seed=content.seed,
            sheets=content.sheets,
            losses=svg_uri(charts.losses(content.curves, content.selected)),
            data={
                "train": content.data.train,
                "holdout": content.data.holdout,
                "left_out": content.data.left_out,
                "portraits": [vars(p) | {"src": picture_uri(p.picture, 128)} for p in content.data.portraits],
            },
            parameters=content.parameters,
            hashes=content.hashes,
        )
    )


def whose_eyes(judges: Mapping[str, Any]) -> dict[str, str]:
    """Score => the judge that it is by, of every score; empty text where no judge of it is known."""
    roles = {role: name for name, judge in judges.items() for role in judge["roles"]}
    kinds = {judge["kind"]: name for name, judge in judges.items()}
    return {
        score.key: roles.get(score.role, "") if score.role else kinds.get(score.key.rpartition("_")[2], "")
        for score in score_catalog.SCORES
    }


def picture_uri(picture: Image, width: int) -> str:
    """RGB => data URI of a WebP of that width."""
    data = io.BytesIO()
    contact_sheets.enlarge(picture, width).save(data, "WEBP", quality=84, method=4)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def svg_uri(text: str) -> str:
    """SVG text => data URI: a picture of its own, so that the ids of two charts never meet."""
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode("utf-8")).decode("ascii")


def table_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table as the template needs them; noise floor and VAE ceiling are the last."""
    scores = results_table.scores_with_values(table)
    bars = {score.key: score_bars.bars(table, score) for score in scores}
    kinds = dict.fromkeys(results_table.REFERENCES, "floor") | {results_table.BASELINE: "baseline"}
    rows = []
    for model in sorted(table.index, key=lambda name: name in results_table.REFERENCES):
        row = table.loc[model]
        cells = []
        for score in scores:
            value, interval = results_table.format_score(row, score)
            cells.append(
                {
                    "value": value,
                    "interval": interval,
                    "mark": row[[f"{score.key}_mark"]].fillna("").iloc[0],
                    "leads": score.leads,
                    "number": row[[score.key]].astype("object").fillna("").iloc[0],
                    "bar": bars[score.key].get(model),
                }
            )
        own = results_table.rank_of(model) is not None
        kind = kinds.get(model, "adapter" if own else "external")
        title, count = results_table.title(model), row["n_generated"]
        rows.append({"model": model, "title": title, "kind": kind, "n": count, "cells": cells})
    return rows


def _describe(table: pd.DataFrame, score: ScoreColumn) -> str:
    """A chart of a score in words: "KID of every rank, lower is better: rank 4 0.09, rank 8 0.07"."""
    adapters = table[table["rank"].fillna(0) > 0]
    values = [
        f"{results_table.title(name).lower()} {results_table.format_score(adapters.loc[name], score)[0]}"
        for name in adapters.index
    ]
    return f"{score.label} of every rank, {score.direction} is better: {', '.join(values)}"


def _missing(model: str, rows: Sequence[dict[str, Any]]) -> str:
    """ "dall-e-3 lacks 3 pictures: 2 × refused: content policy; 1 × timed out" """
    from collections import Counter

    reasons = Counter(str(row.get("reason") or "no reason given").rstrip(".") for row in rows)
    listed = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
    return f"{model} lacks {len(rows)} picture{'s' if len(rows) > 1 else ''}: {listed}."
