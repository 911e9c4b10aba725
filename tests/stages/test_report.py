"""Stage report: one page that loads nothing else, with every picture in its place."""

import base64
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from drawn_study import draw_study, write_metrics
from PIL import Image

from laureate.comparison import results_table, table_io
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog
from laureate.reporting import charts, contact_sheets
from laureate.reporting.findings import findings
from laureate.stages import compare, report

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """Tags, attributes and text of a page. Raises AssertionError where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", []  # type: ignore[var-annotated]
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, key: str) -> list[str]:
        return [str(attrs[key]) for name, attrs in self.tags if name == tag and key in attrs]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_study(tmp_path_factory.mktemp("study"))
    write_metrics(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.run(params.load())
        report.run(params.load())
    return folder


@pytest.fixture
def study(drawn: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(drawn)


@pytest.fixture(scope="module")
def html(drawn: Path) -> Page:
    return Page((drawn / "metrics/report/index.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_from_elsewhere(html: Page, drawn: Path) -> None:
    ids = html.all("section", "id")
    assert len(ids) == len(set(ids))
    for link in html.all("a", "href"):
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (drawn / "metrics/report" / link).is_file(), link
    outside = [
        v for tag, attrs in html.tags for k, v in attrs.items() if k in ("src", "href") and "//" in str(v)
    ]
    assert not [v for v in outside if not str(v).startswith("data:")]
    text = (drawn / "metrics/report/index.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    assert not [tag for tag, _ in html.tags if tag in ("script", "iframe")]


def test_every_picture_can_be_decoded_and_has_a_description(html: Page) -> None:
    pictures = [attrs for tag, attrs in html.tags if tag == "img"]
    for attrs in pictures:
        kind, data = str(attrs["src"]).split(";base64,")
        assert str(attrs["alt"]).strip()
        if kind == "data:image/webp":
            with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
                assert picture.width == int(str(attrs["width"]))
        else:
            assert kind == "data:image/svg+xml"
            assert b"<svg" in base64.b64decode(data)
    prompts, models, portraits = 4, 3, 14
    # faces above; one grid; pairs; all models; portraits; a chart per score but DINO's two; the losses
    assert len(pictures) == 4 + prompts * (1 + 2 + models) + portraits + len(score_catalog.SCORES) - 2 + 1


def test_the_page_says_whose_eyes_each_number_is_by_and_whether_the_judges_agree(
    html: Page, drawn: Path
) -> None:
    advice = json.loads((drawn / "metrics/adviser.json").read_text())
    assert set(advice["judges"]) == {"imagenet", "vision", "clip"}
    assert advice["lead"] == "imagenet"
    text = " ".join(html.text.split())
    sentence = advice["agreement"]["sentence"]
    assert "Kendall's τ between their orders" in sentence
    assert sentence.replace(" %", "\N{NO-BREAK SPACE}%") in text or sentence in text
    assert "Differences as the judge imagenet sees them" in text
    assert "Seen by vision." in text  # LPIPS, style distance and others
    assert "Seen by imagenet." in text
    for judge in ("imagenet", "vision", "clip"):
        way = advice["judges"][judge]["way_to_ceiling"]
        assert set(way) == {"4", "16"}
        share = way["16"]
        assert share["low"] <= share["value"] <= share["high"]
        assert f"{100 * share['value']:.0f} % (" in text.replace("\N{NO-BREAK SPACE}", " ")
    first = next(score for score in score_catalog.SCORES)
    assert first.key == "kid_imagenet"  # the table, README's and the page's, leads with the independent judge
    shown = (drawn / "metrics/comparison.md").read_text()
    assert shown.startswith("| model | n | KID, ImageNet ↓ |")
    assert "| VAE ceiling | 98 |" in shown


def test_the_page_names_models_data_hashes_and_parameters(html: Page) -> None:
    for words in (
        "Rank 16",
        "Noise floor",
        "the same 30 held-out portraits",  # as the metrics say
        "b" * 64,
        "d" * 64,
        "learning_rate: 0.001",
        "Person 3 <of> Öland",  # names are escaped, not parsed
        "Ill. © Atelier & Co",
        "the same picture as 8-2010-phy.jpg",
        "Elon Musk with a bow tie, and a short hairstyle",
    ):
        assert words in html.text


def test_the_sheets_are_files_of_a_size_that_git_can_hold(drawn: Path) -> None:
    folder = drawn / "metrics/report"
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {report.PROMPTS, report.TUNED, report.MATRIX, report.SCORES, report.LOSSES}
    for name in (report.PROMPTS, report.TUNED, report.MATRIX):
        with Image.open(folder / "figures" / name) as picture:
            assert min(picture.size) > 700
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 4_000_000


def test_the_same_study_gives_the_same_bytes(study: Path) -> None:
    before = {p.name: p.read_bytes() for p in Path("metrics/report").rglob("*") if p.is_file()}
    report.run(params.load())
    assert {p.name: p.read_bytes() for p in Path("metrics/report").rglob("*") if p.is_file()} == before


def test_the_page_puts_forward_the_advised_rank_whatever_is_selected(study: Path) -> None:
    loaded = params.load()
    advice = json.loads(Path("metrics/adviser.json").read_text())
    other = next(rank for rank in loaded.ranks if rank != advice["rank"])
    found = report.read_content(loaded.model_copy(update={"selected": "baseline"}))
    assert found.selected == f"rank-{advice['rank'] or advice['best']}"
    assert found.parameters == report.read_content(loaded).parameters
    Path("metrics/adviser.json").write_text(json.dumps(advice | {"rank": None, "best": other}))
    assert report.read_content(loaded).selected == f"rank-{other}"


def test_portraits_may_be_left_out(study: Path) -> None:
    loaded = params.load()
    loaded = loaded.model_copy(update={"report": loaded.report.model_copy(update={"portraits": 0})})
    report.run(loaded)
    page = Page(Path("metrics/report/index.html").read_text(encoding="utf-8"))
    assert "Atelier & Co" not in page.text
    assert "8 training portraits, 6 held out" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("remove", "sentence"),
    [
        ("metrics/comparison.csv", "laureate compare"),
        ("metrics/adviser.json", "laureate compare"),
        ("metrics/train/rank-4.csv", "laureate train"),
        ("data/samples/baseline/manifest.json", "laureate sample --model baseline"),
        ("data/dataset/train/metadata.jsonl", "laureate prepare"),
    ],
)
def test_a_missing_input_is_named_and_the_old_page_stays(study: Path, remove: str, sentence: str) -> None:
    Path(remove).unlink()
    with pytest.raises(LaureateError, match=sentence):
        report.run(params.load())
    assert Path("metrics/report/index.html").is_file()


def test_a_table_of_other_models_is_refused(study: Path) -> None:
    with pytest.raises(LaureateError, match="other models"):
        report.run(params.load().model_copy(update={"ranks": [4]}))


def test_findings_are_sentences_that_fit_the_numbers(study: Path) -> None:
    table = results_table.read_csv("metrics/comparison.csv")
    first, style, content = findings(table, "rank-16")
    assert "at rank 16" in first
    assert "the untuned base has" in first
    assert style.count("%") == content.count("%") == 2
    assert findings(table, "baseline") == [first]
    assert findings(table.loc[["noise-floor"]], "rank-16") == []
    assert findings(table.loc[["baseline", "rank-16"]].assign(style_read=pd.NA), "rank-16")[1:] == [content]


def test_captions_stay_inside_their_column() -> None:
    face = contact_sheets.font(27)
    words = "An extraordinarily long-winded description of a gentleman, in the style of Nobel Laureate."
    lines = contact_sheets._wrap(words, face, 300)
    assert " ".join(lines) == words
    assert all(face.getlength(line) <= 300 for line in lines)


def test_a_chart_has_a_point_per_adapter_and_a_band_per_reference_that_the_table_has(drawn: Path) -> None:
    table = results_table.read_csv(drawn / "metrics/comparison.csv")
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


def test_the_recommendation_comes_first(html: Page, drawn: Path) -> None:
    text = " ".join(html.text.split())
    sentences = json.loads((drawn / "metrics/adviser.json").read_text())["sentences"]
    headline, reason = sentences[0].split(": ")
    parts = [
        headline,
        reason[0].upper() + reason[1:],
        *sentences[1:],
        "The lowest KID, ImageNet of the adapters",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_every_rank_has_its_verdict_and_headers_have_a_scope(html: Page, drawn: Path) -> None:
    advice = json.loads((drawn / "metrics/adviser.json").read_text())
    rows = [str(attrs.get("class")) for tag, attrs in html.tags if tag == "tr"]
    recommended = [row for row in rows if row.endswith(" recommended")]
    assert recommended == ["best recommended"]  # rank 16 of this study
    for finding in advice["findings"]:
        assert any(row.startswith(finding["verdict"]) for row in rows)
    assert {attrs.get("scope") for tag, attrs in html.tags if tag == "th"} == {"col", "row"}


def test_the_page_marks_ties_and_has_a_chart_of_every_score_against_the_rank(html: Page, drawn: Path) -> None:
    table = results_table.read_csv(drawn / "metrics/comparison.csv")
    marks = [f"{score.key}_mark" for score in results_table.short_table_scores(table)]
    ties = (table[marks] == "tied").sum().sum()
    judges = json.loads((drawn / "metrics/adviser.json").read_text())["judges"]
    found = [finding["verdict"] for judge in judges.values() for finding in judge["findings"]]
    shown = sum(attrs.get("class") == "tied" for tag, attrs in html.tags if tag == "td")
    assert ties + found.count("tied") == shown > 0  # in the table of scores and in that of judges
    for score in results_table.scores_with_values(table):
        start = f"{score.label} of every rank, {score.direction} is better: rank 4 "
        assert sum(alt.startswith(start) for alt in html.all("img", "alt")) == 1


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
