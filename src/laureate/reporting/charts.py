"""Charts: rows of the table and loss curves in, SVG text out. The same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from laureate.comparison import results_table
from laureate.evaluation import score_catalog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GOLD, LIGHT, GREY, RULE = "#16130f", "#c9a227", "#e9d9a0", "#6b645a", "#ddd6c7"
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
Curve = list[tuple[int, float]]


def score_panel(rows: Sequence[results_table.Row], score: score_catalog.ScoreColumn) -> str:
    """One score against the rank, with 95 % intervals, the baseline and the noise floor. => SVG"""
    with _style():
        figure, axes = _canvas(1, 1, (3.9, 2.7))
        _score_axes(axes[0], rows, score)
        return _svg(figure)


def scores_by_rank(rows: Sequence[results_table.Row], columns: int = 4) -> str:
    """Every score against the rank, in one figure. => SVG"""
    scores = results_table.valued(rows)
    count = max(1, len(scores))
    with _style():
        figure, axes = _canvas(-(-count // columns), columns, (3.2 * columns, 2.7 * -(-count // columns)))
        for panel, score in zip(axes, scores, strict=False):
            _score_axes(panel, rows, score)
        for panel in axes[len(scores) :]:
            panel.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.set_facecolor("#faf7f0")  # a file of its own, also seen on dark pages
        return _svg(figure)


def losses(curves: dict[str, tuple[Curve, Curve]], marked: str) -> str:
    """Training loss and held-out loss per adapter, `marked` in gold. => SVG

    `curves`: name => ([(step, loss)], [(step, held-out loss)]).
    """
    with _style():
        figure, axes = _canvas(1, 2, (9.6, 3.5))
        shades = _shades(len(curves))
        for (name, (training, holdout)), shade in zip(curves.items(), shades, strict=True):
            chosen = name == marked
            look: dict[str, Any] = {
                "color": GOLD if chosen else shade,
                "linewidth": 2.2 if chosen else 1.1,
                "zorder": 3 if chosen else 2,
            }
            axes[0].plot(
                *_columns(training), label=results_table.title(name), marker="o", markersize=3, **look
            )
            axes[1].plot(
                *_columns(holdout), label=results_table.title(name), marker="o", markersize=3, **look
            )
        for panel, title in zip(axes, ("Training loss", "Held-out loss"), strict=True):
            panel.set_title(title, pad=10)
            panel.set_xlabel("step")
            panel.grid(axis="y", color=RULE, linewidth=0.6)
        if curves:
            axes[1].legend(frameon=False, fontsize=11, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _svg(figure)


def _score_axes(axes: Axes, rows: Sequence[results_table.Row], score: score_catalog.ScoreColumn) -> None:
    """Draw one panel: dots with bars for the ranks, bands for the baseline and the noise floor."""
    factor = 100 if score.percent else 1

    def of(row: results_table.Row) -> tuple[float, float, float]:
        value, low, high = (
            factor * results_table.number(row, score.key + end) for end in ("", "_low", "_high")
        )
        return value, low, high

    for name, colour, label in (
        ("baseline", GREY, "baseline, 95 %"),
        ("noise-floor", GOLD, "noise floor: real portraits, 95 %"),
    ):
        found = [row for row in rows if row["model"] == name and row[score.key] is not None]
        if found:
            value, low, high = of(found[0])
            axes.axhspan(low, high, color=colour, alpha=0.16, linewidth=0)
            axes.axhline(value, color=colour, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
    for row in rows:
        if row["rank"] is None and row["model"] != "noise-floor" and row[score.key] is not None:
            axes.axhline(of(row)[0], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.annotate(
                str(row["model"]), (1.0, of(row)[0]), xycoords=("axes fraction", "data"),
                ha="right", va="bottom", fontsize=8, color=GREY,
            )  # fmt: skip
    adapters = [row for row in rows if row["rank"] and row[score.key] is not None]
    ranks = [results_table.number(row, "rank") for row in adapters]
    values = [of(row) for row in adapters]
    bars = [[v - low for v, low, _ in values], [high - v for v, _, high in values]]
    winners = results_table.best(rows, score)
    axes.plot(ranks, [v for v, _, _ in values], color=INK, linewidth=0.8, alpha=0.5)
    look: dict[str, Any] = {
        "fmt": "none",
        "ecolor": INK,
        "elinewidth": 1.2,
        "capsize": 3,
        "label": "adapter, 95 %",
    }
    axes.errorbar(ranks, [v for v, _, _ in values], bars, **look)
    colours = [GOLD if row["model"] in winners else "#faf7f0" for row in adapters]
    axes.scatter(ranks, [v for v, _, _ in values], s=42, c=colours, edgecolors=INK, linewidths=1.1, zorder=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ranks, [f"{rank:.0f}" for rank in ranks])
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel("rank")
    axes.set_title(f"{score.label} {score.arrow}" + (", %" if score.percent else ""), pad=8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)


def _canvas(rows: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, row by row, without the state that pyplot keeps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _svg(figure: Figure) -> str:
    """SVG text with letters as outlines, so that it looks the same everywhere, and no date."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """The house's look, for the charts drawn inside and no others."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def _columns(curve: Curve) -> tuple[list[int], list[float]]:
    return [step for step, _ in curve], [loss for _, loss in curve]


def _shades(count: int) -> list[str]:
    """Greys from light to ink."""
    return [f"{0.78 - 0.68 * i / max(1, count - 1):.3f}" for i in range(count)]
