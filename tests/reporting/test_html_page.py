"""The report page: one file that loads nothing else, with every picture in its place."""

import base64
import io
import json
from pathlib import Path

from drawn_report import Page
from PIL import Image

from laureate.comparison import results_table
from laureate.evaluation import score_catalog


def test_the_page_loads_nothing_from_elsewhere(report_page: Page, drawn_report: Path) -> None:
    ids = report_page.all("section", "id")
    assert len(ids) == len(set(ids))
    for link in report_page.all("a", "href"):
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (drawn_report / "metrics/report" / link).is_file(), link
    outside = [
        v
        for tag, attrs in report_page.tags
        for k, v in attrs.items()
        if k in ("src", "href") and "//" in str(v)
    ]
    assert not [v for v in outside if not str(v).startswith("data:")]
    text = (drawn_report / "metrics/report/index.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    assert not [tag for tag, _ in report_page.tags if tag in ("iframe", "object", "embed")]
    assert report_page.all("script", "src") == []
    policy = next(attrs for tag, attrs in report_page.tags if tag == "meta" and "http-equiv" in attrs)
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:;")  # the browser sees to it


def test_every_picture_can_be_decoded_and_has_a_description(report_page: Page) -> None:
    # those without a source are filled by scripts: tests/reporting/test_page_in_browser.py
    pictures = [attrs for tag, attrs in report_page.tags if tag == "img" and "src" in attrs]
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
    # faces above; one grid; pairs; all models; portraits; the losses; a chart per score but DINO's two and
    # one that these data have no value for
    assert len(pictures) == 4 + prompts * (1 + 2 + models) + portraits + 1 + len(score_catalog.SCORES) - 3


def test_the_page_says_whose_eyes_each_number_is_by_and_whether_the_judges_agree(
    report_page: Page, drawn_report: Path
) -> None:
    advice = json.loads((drawn_report / "metrics/adviser.json").read_text())
    assert set(advice["judges"]) == {"imagenet", "vision", "clip"}
    assert advice["lead"] == "imagenet"
    text = " ".join(report_page.text.split())
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
    shown = (drawn_report / "metrics/comparison.md").read_text()
    assert shown.startswith("| model | n | KID, ImageNet ↓ |")
    assert "| VAE ceiling | 98 |" in shown


def test_the_page_names_models_data_hashes_and_parameters(report_page: Page) -> None:
    for words in (
        "Rank 16",
        "Noise floor",
        "the same 30 held-out portraits",  # as the metrics say
        "b" * 64,
        "d" * 64,
        "learning_rate: 0.003",
        "Person 3 <of> Öland",  # names are escaped, not parsed
        "Ill. © Atelier & Co",
        "the same picture as 8-2010-phy.jpg",
        "Elon Musk with a bow tie, and a short hairstyle",
    ):
        assert words in report_page.text


def test_the_recommendation_comes_first(report_page: Page, drawn_report: Path) -> None:
    text = " ".join(report_page.text.split())
    sentences = json.loads((drawn_report / "metrics/adviser.json").read_text())["sentences"]
    headline, reason = sentences[0].split(": ")
    parts = [
        headline,
        reason[0].upper() + reason[1:],
        *sentences[1:],
        "The lowest KID, ImageNet of the adapters",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_every_rank_has_its_verdict_and_headers_have_a_scope(report_page: Page, drawn_report: Path) -> None:
    advice = json.loads((drawn_report / "metrics/adviser.json").read_text())
    rows = [str(attrs.get("class")) for tag, attrs in report_page.tags if tag == "tr"]
    recommended = [row for row in rows if row.endswith(" recommended")]
    assert recommended == ["best recommended"]  # rank 16 of this study
    for finding in advice["findings"]:
        assert any(row.startswith(finding["verdict"]) for row in rows)
    assert {attrs.get("scope") for tag, attrs in report_page.tags if tag == "th"} == {"col", "row"}


def test_the_page_marks_ties_and_has_a_chart_of_every_score_against_the_rank(
    report_page: Page, drawn_report: Path
) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    marks = [f"{score.key}_mark" for score in results_table.scores_with_values(table)]
    ties = (table[marks] == "tied").sum().sum()
    judges = json.loads((drawn_report / "metrics/adviser.json").read_text())["judges"]
    found = [finding["verdict"] for judge in judges.values() for finding in judge["findings"]]
    shown = sum("tied" in str(attrs.get("class")).split() for tag, attrs in report_page.tags if tag == "td")
    assert ties + found.count("tied") == shown > 0  # in the table of scores and in that of judges
    for score in results_table.scores_with_values(table):
        start = f"{score.label} of every rank, {score.direction} is better: rank 4 "
        assert sum(alt.startswith(start) for alt in report_page.all("img", "alt")) == 1


def test_the_table_has_every_score_that_has_a_value_and_numbers_to_sort_by(
    report_page: Page, drawn_report: Path
) -> None:
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    scores = results_table.scores_with_values(table)
    assert report_page.all("th", "data-name") == ["model", "pictures", *(score.label for score in scores)]
    numbers = [float(value) if value else None for value in report_page.all("td", "data-value")]
    width = len(scores) + 1
    for row, model in enumerate(name for name in table.index if name not in results_table.REFERENCES):
        shown = numbers[row * width + 1 : (row + 1) * width]
        for score, number in zip(scores, shown, strict=True):
            value = table[[score.key]].astype(object).fillna("").loc[model, score.key]
            assert number == (None if value == "" else value)


def test_the_first_screen_names_the_judges_and_their_choices(report_page: Page, drawn_report: Path) -> None:
    advice = json.loads((drawn_report / "metrics/adviser.json").read_text())
    start = (drawn_report / "metrics/report/index.html").read_text(encoding="utf-8")
    first = Page(start[start.index('<ul class="choices"') : start.index("</ul>")] + "</ul>").text
    verdicts = {"agree": "Judges agree", "disagree": "Judges disagree", "open": "Judges: open"}
    assert verdicts[advice["agreement"]["outcome"]] in first
    for name, judge in advice["judges"].items():
        assert f"{name}: rank {judge['best']}" in first
