"""Charts of scores and losses as SVG text. The same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from laureate.comparison import results_table
from laureate.evaluation import score_catalog

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GOLD, GREY, BLUE = "#16130f", "#c9a227", "#6b645a", "#4a6fa5"
RULE, PAPER = "#ddd6c7", "#faf7f0"
STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "font.size": 12,
    "axes.edgecolor": INK,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.hashsalt": "laureate",  # else element ids differ from run to run
}
MARGINS = 0.66, 0.12, 0.54, 0.44  # inches of a panel: left, right, below, above
LEGEND = 0.4  # inches
CURVE = {"step": "Int64", "loss": "Float64", "holdout_loss": "Float64"}  # column of a curve => dtype


def score_panel(table: pd.DataFrame, score: score_catalog.ScoreColumn) -> str:
    """One score against the rank, with 95 % intervals, baseline, noise floor and VAE ceiling. => SVG"""
    with chart_style():
        figure, axes = panels(1, 1, (3.9, 2.7))
        _score_axes(axes[0], table, score)
        return svg(figure)


def scores_by_rank(table: pd.DataFrame, columns: int = 4) -> str:
    """Every score against the rank, in one figure. => SVG"""
    scores = results_table.scores_with_values(table)
    count = max(1, len(scores))
    with chart_style():
        figure, axes = panels(-(-count // columns), columns, (3.2, 2.7), LEGEND)
        for panel, score in zip(axes, scores, strict=False):
            _score_axes(panel, table, score)
        for panel in axes[len(scores) :]:
            panel.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
        figure.set_facecolor(PAPER)  # a file of its own, also seen on dark pages
        return svg(figure)


def losses(curves: Mapping[str, pd.DataFrame], highlighted: str) -> str:
    """Training loss and held-out loss per adapter, `highlighted` in gold. => SVG

    `curves`: name => table with the columns of `CURVE`; missing values are left out.
    """
    with chart_style():
        figure, axes = canvas(1, 2, (9.6, 3.5))
        shades = _shades(len(curves))
        for (name, curve), shade in zip(curves.items(), shades, strict=True):
            look: dict[str, Any] = {"color": shade, "linewidth": 1.1, "zorder": 2}
            if name == highlighted:
                look = {"color": GOLD, "linewidth": 2.2, "zorder": 3}
            look |= {"label": results_table.title(name), "marker": "o", "markersize": 3}
            for panel, key in zip(axes, ("loss", "holdout_loss"), strict=True):
                points = curve[["step", key]].dropna()
                panel.plot(points["step"].to_numpy(int), points[key].to_numpy(float), **look)
        for panel, title in zip(axes, ("Training loss", "Held-out loss"), strict=True):
            panel.set_title(title, pad=10)
            panel.set_xlabel("step")
            panel.grid(axis="y", color=RULE, linewidth=0.6)
        if curves:
            axes[1].legend(frameon=False, fontsize=11, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return svg(figure)


def _score_axes(axes: Axes, table: pd.DataFrame, score: score_catalog.ScoreColumn) -> None:
    """Draw one panel: dots with bars for the ranks, bands for the rows that are no adapter."""
    known = table[table[score.key].notna()]
    columns = {"value": score.key, "low": f"{score.key}_low", "high": f"{score.key}_high"}
    factor = 100 if score.percent else 1
    numbers = known[["rank"]].copy()
    for name, key in columns.items():
        numbers[name] = factor * known[key].to_numpy(float, na_value=float("nan"))
    for name, colour, label in (
        (results_table.BASELINE, GREY, "baseline, 95 %"),
        (results_table.FLOOR, GOLD, "noise floor: real portraits, 95 %"),
        (results_table.CEILING, BLUE, "VAE ceiling: portraits through the VAE, 95 %"),
    ):
        if name in numbers.index:
            row = numbers.loc[name]
            axes.axhspan(row["low"], row["high"], color=colour, alpha=0.16, linewidth=0)
            axes.axhline(row["value"], color=colour, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
    external = numbers[numbers["rank"].isna() & ~numbers.index.isin(results_table.REFERENCES)]
    for name, value in external["value"].items():
        axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            str(name), (1.0, value), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=8, color=GREY,
        )  # fmt: skip
    adapters = numbers[numbers["rank"] > 0]
    ranks = adapters["rank"].to_numpy(float)
    values, low, high = (adapters[name].to_numpy(float) for name in columns)
    gold = results_table.best_or_tied(table, score)
    axes.plot(ranks, values, color=INK, linewidth=0.8, alpha=0.5)
    look: dict[str, Any] = {
        "fmt": "none",
        "ecolor": INK,
        "elinewidth": 1.2,
        "capsize": 3,
        "label": "adapter, 95 %",
    }
    axes.errorbar(ranks, values, [values - low, high - values], **look)
    colours = [GOLD if name in gold else PAPER for name in adapters.index]
    axes.scatter(ranks, values, s=42, c=colours, edgecolors=INK, linewidths=1.1, zorder=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ranks, [f"{rank:.0f}" for rank in ranks])
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel("rank")
    axes.set_title(f"{score.label} {score.arrow}" + (", %" if score.percent else ""), pad=8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)


def panels(
    rows: int, columns: int, inches: tuple[float, float], below: float = 0
) -> tuple[Figure, list[Axes]]:
    """A figure of panels of that width and height, row by row, with `below` inches under all of them.

    Margins are fixed: to measure the labels of all scores takes longer than to draw them.
    """
    from matplotlib.figure import Figure

    (width, height), (left, right, bottom, top) = inches, MARGINS
    whole = width * columns, height * rows + below
    figure = Figure(figsize=whole)
    figure.subplots_adjust(
        left=left / whole[0],
        right=1 - right / whole[0],
        bottom=(below + bottom) / whole[1],
        top=1 - top / whole[1],
        wspace=(left + right) / (width - left - right),
        hspace=(bottom + top) / (height - bottom - top),
    )
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def canvas(rows: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, row by row, without the state that pyplot keeps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def svg(figure: Figure) -> str:
    """SVG text with letters as outlines, so that it looks the same everywhere, and no date."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


@contextmanager
def chart_style() -> Iterator[None]:
    """Matplotlib's settings for the charts drawn inside, and for no others."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def _shades(count: int) -> list[str]:
    """Greys from light to ink."""
    return [f"{0.78 - 0.68 * i / max(1, count - 1):.3f}" for i in range(count)]
