"""What a style costs as a chart: distance to the portraits against drift, and against the adapter's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from laureate.evaluation import score_catalog
from laureate.reporting.charts import GOLD, GREY, INK, PAPER, RULE, canvas, chart_style, svg

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PRICES = "distance-against-price.svg"  # file name in the report's figures


def pareto(table: pd.DataFrame, sizes: Mapping[str, int]) -> str:
    """Distance of every adapter against its drift and its size, each with the Pareto front in gold. => SVG

    `table`: as in results_table; `sizes`: adapter => bytes of its file. The distance is KID, the independent
    judge's where there is one, else that of the role `looks`. An adapter without a drift, or without a size,
    is left out of that panel.
    """
    from matplotlib import ticker  # late: it takes half a second

    by_key = {score.key: score for score in score_catalog.SCORES}
    distance = by_key["kid_imagenet" if table["kid_imagenet"].notna().any() else "kid"]
    adapters = table[(table["rank"].fillna(0) > 0) & table[distance.key].notna()]
    drifting = adapters[adapters["drift"].notna()]
    with chart_style():
        figure, axes = canvas(1, 2, (9.6, 3.8))
        ends = [drifting[f"drift{end}"].to_numpy(float) for end in ("", "_low", "_high")]
        _panel(axes[0], drifting, distance, ends[0], (ends[0] - ends[1], ends[2] - ends[0]))
        axes[0].set_xlabel("drift (LPIPS to the base's picture, without the style phrase)")
        known = adapters[adapters.index.isin(list(sizes))]
        _panel(axes[1], known, distance, np.array([sizes[str(name)] / 1e6 for name in known.index]))
        axes[1].set_xscale("log")
        axes[1].set_xlabel("size of the adapter, MB")
        axes[0].set_title(f"{distance.label} {distance.arrow} against what it costs", pad=10)
        axes[1].set_xticks([sizes[str(name)] / 1e6 for name in known.index])
        axes[1].xaxis.set_major_formatter(lambda megabytes, _: f"{megabytes:.2g}")
        axes[1].xaxis.set_minor_locator(ticker.NullLocator())
        axes[1].set_title("gold: no other is both nearer and cheaper", pad=10, fontsize=12, color=GREY)
        figure.set_facecolor(PAPER)  # a file of its own, also seen on dark pages
        return svg(figure)


def front(costs: np.ndarray, distances: np.ndarray) -> list[bool]:
    """For each of n points, whether no other is at most as dear and as far, and better in one of both."""
    points = list(zip(costs, distances, strict=True))
    return [
        not any(c <= cost and d <= far and (c, d) != (cost, far) for c, d in points) for cost, far in points
    ]


def _panel(
    axes: Axes,
    adapters: pd.DataFrame,
    distance: score_catalog.ScoreColumn,
    costs: np.ndarray,
    spread: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Dots with 95 % bars, named by rank; gold where the adapter is on the Pareto front."""
    values, low, high = (adapters[f"{distance.key}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    bars: dict[str, Any] = {"fmt": "none", "ecolor": INK, "elinewidth": 1.0, "capsize": 2}
    if len(costs):
        axes.errorbar(costs, values, [values - low, high - values], spread, **bars)
        colours = [GOLD if best else PAPER for best in front(costs, values)]
        axes.scatter(costs, values, s=46, c=colours, edgecolors=INK, linewidths=1.1, zorder=4)
    for cost, value, rank in zip(costs, values, adapters["rank"], strict=True):
        axes.annotate(
            f"{rank}", (cost, value), xytext=(5, 5), textcoords="offset points", fontsize=11, color=INK
        )
    axes.margins(x=0.15, y=0.15)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
