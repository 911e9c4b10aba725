"""Charts, contact sheets and the sentences about the table."""

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image

from laureate.comparison import results_table, table_io
from laureate.evaluation import score_catalog
from laureate.reporting import charts, contact_sheets
from laureate.reporting.findings import findings

SVG = "{http://www.w3.org/2000/svg}"


def test_a_chart_has_a_point_per_adapter_and_a_band_per_reference_that_the_table_has(
    drawn_report: Path,
) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    kid = score_catalog.SCORES[0]

    def parts(svg: str) -> tuple[int, int]:
        points = [g for g in ElementTree.fromstring(svg).iter(SVG + "g") if g.get("id") == "PathCollection_1"]
        return sum(1 for g in points for _ in g.iter(SVG + "use")), svg.count("opacity: 0.16")

    assert parts(charts.score_panel(table, kid)) == (2, 3)
    assert parts(charts.score_panel(table.loc[["rank-4"]], kid)) == (1, 0)
    assert parts(charts.score_panel(table.loc[["baseline", "rank-4", "rank-16"]], kid)) == (2, 1)
    assert parts(charts.score_panel(table.assign(kid_imagenet=pd.NA), kid)) == (0, 0)


def test_the_selected_loss_curve_is_gold_and_missing_losses_are_left_out() -> None:
    curve = table_io.from_csv("step,loss,holdout_loss\n50,0.2,\n", "rank-4.csv", charts.CURVE, "train")
    assert charts.GOLD in charts.losses({"rank-4": curve}, "rank-4")
    assert charts.GOLD not in charts.losses({"rank-4": curve}, "rank-16")
    assert charts.losses({"rank-4": curve}, "rank-16") != charts.losses({"rank-4": curve[:0]}, "rank-16")


def test_captions_stay_inside_their_column() -> None:
    face = contact_sheets.font(27)
    words = "An extraordinarily long-winded description of a gentleman, in the style of Nobel Laureate."
    lines = contact_sheets._wrap(words, face, 300)
    assert " ".join(lines) == words
    assert all(face.getlength(line) <= 300 for line in lines)


@pytest.mark.parametrize("side", [128, 768])
def test_contact_sheets_have_the_same_size_for_every_base(side: int) -> None:
    """128 px in the embedded world, 768 px from Stable Diffusion 2.1."""
    picture = Image.new("RGB", (side, side), "tan")
    cells = [("A man with a hat, in the style of Nobel Laureate.", [picture, picture])] * 9
    assert contact_sheets.prompt_grid(cells, "A", "b", ("Baseline", "Rank 16")).size == (2476, 1728)
    assert contact_sheets.matrix(cells, ["Baseline", "Rank 16"], "A", "b").size == (966, 2646)


@pytest.mark.parametrize(
    "reason",
    [
        "refused: this request names a real person, which the content policy does not allow",
        "refused: safety_violations=[public_figures,and_what_else_there_is]. More of it.",
    ],
)
def test_a_missing_picture_is_a_tile_with_the_reason(reason: str) -> None:
    tile = contact_sheets.placeholder(reason)
    grey = tile.convert("L")
    ink = grey.point(lambda value: 255 if value < 160 else 0).getbbox()
    assert ink is not None
    assert min(ink[0], ink[1], tile.width - ink[2], tile.height - ink[3]) > 8  # inside its margins
    assert contact_sheets.placeholder("timed out").size == contact_sheets.placeholder("").size == tile.size


def test_findings_are_sentences_that_fit_the_numbers(drawn_report: Path) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    first, style, content = findings(table, "rank-16")
    assert "at rank 16" in first
    assert "the untuned base has" in first
    assert style.count("%") == content.count("%") == 2
    assert findings(table, "baseline") == [first]
    assert findings(table.loc[["noise-floor"]], "rank-16") == []
    assert findings(table.loc[["baseline", "rank-16"]].assign(style_read=pd.NA), "rank-16")[1:] == [content]
