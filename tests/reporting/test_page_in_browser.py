"""The report page in Chromium: sorting, the slider, the blind vote by keys, every width, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import accessibility_findings, wider_than_window

from laureate.comparison import preferences, results_table
from laureate.evaluation import evidence
from laureate.formats import vote_file

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
WIDTHS = (390, 480, 1280)


@pytest.fixture
def address(drawn_report: Path) -> Path:
    return drawn_report / "metrics/report/index.html"


def order(page: Page) -> list[str]:
    return page.locator("table.sortable tbody th").all_text_contents()


def test_the_table_sorts_by_mouse_and_by_keyboard_the_best_first(
    open_page: Open, address: Path, drawn_report: Path
) -> None:
    page = open_page(address)
    table = results_table.read_csv(drawn_report / "metrics/comparison.csv")
    models = table.index[~table.index.isin(results_table.REFERENCES)]
    below = ["Noise floor", "VAE ceiling"]
    assert order(page) == [*map(results_table.title, models), *below]
    page.locator("table.sortable th button", has_text="KID, ImageNet").click()
    best_first = [results_table.title(name) for name in table.loc[models, "kid_imagenet"].sort_values().index]
    assert order(page) == [*best_first, *below]
    head = page.locator("table.sortable th[data-name='CLIP']")
    head.locator("button").press("Enter")  # higher is better
    by_clip = table.loc[models, "clip"].sort_values(ascending=False).index
    assert order(page) == [*map(results_table.title, by_clip), *below]
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#sorted").text_content() == "Sorted by CLIP, descending."
    head.locator("button").press("Enter")
    assert order(page) == [*map(results_table.title, by_clip[::-1]), *below]
    page.locator("table.sortable th button", has_text="Model").click()
    assert order(page) == [*map(results_table.title, models), *below]


def test_all_scores_are_shown_on_demand(open_page: Open, address: Path) -> None:
    page = open_page(address)
    more = page.locator("table.sortable th.more").first
    assert not more.is_visible()
    page.get_by_label("Show all").check()
    assert more.is_visible()


def test_the_slider_goes_through_the_models_on_one_noise(
    open_page: Open, address: Path, drawn_report: Path
) -> None:
    page = open_page(address)
    slider, shown = page.locator("#explore-model"), page.locator("#explore-picture")
    advised = str(page.locator("body").get_attribute("data-selected"))
    assert slider.get_attribute("aria-valuetext") == results_table.title(advised)
    seen = set()
    for place, name in enumerate(("Baseline", "Rank 4", "Rank 16")):
        slider.press("Home")
        for _ in range(place):
            slider.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == page.locator("#explore-name").text_content() == name
        assert str(shown.get_attribute("alt")).startswith(f"{name}: ")
        assert page.locator("#explore-near figure").count() == 3
        seen.add(shown.get_attribute("src"))
    assert len(seen) == 2  # both ranks of this study were drawn alike
    text = page.locator("#explore-text").text_content()
    page.get_by_label("Next prompt").click()
    page.get_by_label("Next prompt").click()  # two seeds a prompt
    assert page.locator("#explore-text").text_content() != text
    found = evidence.load(drawn_report / "data/evidence/rank-16.safetensors", "rank-16")
    nearest = page.locator("#explore-near figcaption").first.text_content()
    assert float(str(nearest).split(", ")[-1]) == pytest.approx(found.arrays["train"][2].min(), rel=0.005)


def vote(page: Page, rater: str, keys: str) -> None:
    page.get_by_label("Your name").fill(rater)
    page.keyboard.press("Enter")
    for key in keys:
        page.keyboard.press(key)


def test_votes_by_keys_are_kept_undone_saved_and_read_by_the_command(
    open_page: Open, address: Path, tmp_path: Path
) -> None:
    page = open_page(address)
    vote(page, "Ann", "1202")
    assert "4 votes by Ann" in str(page.locator("#vote-progress").text_content())
    text, left = page.locator("#vote-text").text_content(), page.locator("#vote-left").get_attribute("src")
    page.reload()  # the browser has kept them, and shows the same two pictures
    assert "4 votes by Ann" in str(page.locator("#vote-progress").text_content())
    assert page.locator("#vote-text").text_content() == text
    assert page.locator("#vote-left").get_attribute("src") == left
    page.get_by_role("button", name="Right is better").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="No difference").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    assert download.value.suggested_filename.startswith("votes-Ann-")
    download.value.save_as(tmp_path / "votes.csv")
    votes = vote_file.read(tmp_path / "votes.csv")
    assert [one.choice for one in votes] == ["left", "right", "tie", "right", "tie"]
    assert {one.rater for one in votes} == {"Ann"}
    pairs = [frozenset((one.left, one.right)) for one in votes]
    assert len(set(pairs[:3])) == 3  # a round has every pair of the three models once
    assert preferences.comparisons(votes).models == ["baseline", "rank-16", "rank-4"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Start over").click()
    assert page.get_by_label("Your name").is_visible()


def test_keys_count_only_where_the_vote_has_the_focus(open_page: Open, address: Path) -> None:
    page = open_page(address)
    vote(page, "12", "1")  # digits in the name are no votes
    assert "1 vote by 12" in str(page.locator("#vote-progress").text_content())
    page.locator("#explore-model").focus()
    page.keyboard.press("1")
    assert "1 vote by 12" in str(page.locator("#vote-progress").text_content())


@pytest.mark.slow
def test_two_raters_see_the_same_comparisons_in_the_first_round_with_sides_at_random(
    open_page: Open, address: Path, tmp_path: Path
) -> None:
    rounds, sides = [], set()
    for rater in ("Ann", "Ben", "Cem"):
        page = open_page(address)  # a browser of her own
        vote(page, rater, "111111")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save").click()
        download.value.save_as(tmp_path / f"{rater}.csv")
        votes = vote_file.read(tmp_path / f"{rater}.csv")
        rounds.append({(one.prompt, one.seed, frozenset((one.left, one.right))) for one in votes[:3]})
        sides |= {(one.prompt, one.seed, one.left) for one in votes[:3]}
    assert all(one == rounds[0] for one in rounds)
    assert len(sides) > 3


def test_the_pictures_that_are_compared_are_those_of_the_models(
    open_page: Open, address: Path, tmp_path: Path
) -> None:
    page = open_page(address)
    page.get_by_label("Your name").fill("Ann")
    page.keyboard.press("Enter")
    left = page.locator("#vote-left").get_attribute("src")
    page.keyboard.press("1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    download.value.save_as(tmp_path / "votes.csv")
    (one,) = vote_file.read(tmp_path / "votes.csv")
    data = page.evaluate("JSON.parse(document.getElementById('pictures').textContent)")
    noise = next(n for n in data["noises"] if (n["prompt"], n["seed"]) == (one.prompt, one.seed))
    place = [name for name, _ in data["models"]].index(one.left)
    assert left == noise["pictures"][place]


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_use_it_at_every_width(open_page: Open, address: Path, dark: bool) -> None:
    for width in WIDTHS:
        page = open_page(address, width=width, dark=dark)
        vote(page, "Ann", "")
        assert wider_than_window(page) == 0, width
        if width != 480:
            assert accessibility_findings(page) == [], width


@pytest.mark.parametrize("width", [480, 1280])
def test_the_first_screen_says_which_adapter_and_whether_the_judges_agree(
    open_page: Open, address: Path, width: int
) -> None:
    page = open_page(address, width=width, height=800)
    for words in (".headline", ".choices .verdict", ".choices li:last-child"):
        box = page.locator(words).bounding_box()
        assert box is not None
        assert 0 <= box["y"] < box["y"] + box["height"] <= 800


def test_without_scripts_the_page_has_its_answer_its_table_and_its_pictures(
    open_page: Open, address: Path
) -> None:
    page = open_page(address, java_script_enabled=False)
    assert page.locator(".headline").is_visible()
    assert page.locator("table.sortable th.more").first.is_visible()
    assert page.locator("table.matrix img").first.is_visible()
    assert not page.locator("#vote-box").is_visible()
    assert "needs scripts" in str(page.locator("#vote").text_content())
