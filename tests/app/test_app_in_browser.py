"""laureate app in a browser: every tab, a whole path by mouse and by keyboard, cancelling, several people."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import app_study
import pytest
import requests
from browser import accessibility_findings, wider_than_window
from PIL import Image
from playwright.sync_api import FileChooser, Page, TimeoutError, expect

from laureate.imaging import png

pytestmark = pytest.mark.e2e
TABS = ("Try", "Portrait", "Poster", "Study", "Vote")
SECONDS = 60_000  # milliseconds that a drawing may take on a busy machine

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    return app_study.make(tmp_path_factory.mktemp("app"), tiny_models)


@pytest.fixture(scope="module")
def address(study: Path) -> Iterator[str]:
    with app_study.running(study) as found:
        yield found


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return app_study.photo(tmp_path / "Ada Private.png")


def ready(page: Page) -> Page:
    """The page, once it can be used."""
    expect(page.locator("#try-draw")).to_be_visible(timeout=SECONDS)
    page.wait_for_timeout(500)  # Gradio binds its events after it has shown them
    return page


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.wait_for_timeout(500)  # a tab is built when it is first shown


def set_steps(page: Page, count: int) -> None:
    """Type into the number beside the slider; done when the slider, which Gradio moves, has followed it."""
    number, slider = (page.locator(f"#try-steps input[type={kind}]") for kind in ("number", "range"))
    for _ in range(10):  # what is typed while Gradio still builds the settings is lost
        number.fill(str(count))
        number.press("Tab")
        page.wait_for_timeout(300)
        if slider.input_value() == number.input_value() == str(count):
            return
    raise AssertionError(f"the settings do not take {count} steps")


def cached(study: Path) -> list[Path]:
    """The files in the app's cache."""
    return [path for path in (study / ".work/app").rglob("*") if path.is_file()]


def given(page: Page, address: str, figure: str) -> list[bytes]:
    """The pictures in a part of the page, as the server gives them."""
    sources = page.locator(f"{figure} img").evaluate_all("images => images.map(image => image.src)")
    return [page.request.get(source).body() for source in sources]


def test_models_draw_side_by_side_from_the_same_noise(address: str, study: Path, open_page: Open) -> None:
    page = ready(open_page(address))
    page.locator("#try-prompt textarea").fill("A woman with a bun.")
    page.get_by_label("rank 4").check()
    page.locator("#try-draw").click()
    expect(page.locator("#try-pictures figure")).to_have_count(3, timeout=SECONDS)
    expect(page.locator("#try-status")).to_contain_text("same noise", timeout=SECONDS)
    pictures = given(page, address, "#try-pictures")
    records = [png.record_of(data) for data in pictures]
    assert [record["adapter"]["name"] for record in records if record] == ["baseline", "rank-4", "rank-16"]
    assert len({record["seed"] for record in records if record}) == 1
    assert len({Image.open(io.BytesIO(data)).tobytes() for data in pictures}) == 3
    words = page.locator("#try-command textarea").input_value()
    assert words == (
        "laureate draw --model baseline --model rank-4 --model rank-16 --strength 1 --guidance 4 --steps 4 "
        "--seed 1 'A woman with a bun.'"
    )
    expect(page.locator("#try-gallery figure")).to_have_count(3)


def test_a_whole_path_by_mouse(address: str, study: Path, photo: Path, open_page: Open) -> None:
    """Photo, caption, three portraits, one of them a poster; nothing is left when the page is closed."""
    page = ready(open_page(address, accept_downloads=True))
    tab(page, "Portrait")
    page.locator("#portrait-photo input[type=file]").set_input_files(photo)
    caption = page.locator("#portrait-prompt textarea")
    expect(caption).to_have_value(re.compile(r"in the style of Nobel Laureate\.$"), timeout=SECONDS)
    assert len(cached(study)) == 1
    caption.fill("A woman in a hat, in the style of Nobel Laureate.")
    page.locator("#portrait-draw").click()
    expect(page.locator("#portrait-pictures figure")).to_have_count(3, timeout=SECONDS)
    expect(page.locator("#portrait-status")).to_contain_text("pick one", timeout=SECONDS)
    records = [png.record_of(data) for data in given(page, address, "#portrait-pictures")]
    assert [record["strength"] for record in records if record] == [0.3, 0.45, 0.6]
    assert {record["prompt"] for record in records if record} == {
        "A woman in a hat, in the style of Nobel Laureate."
    }
    page.locator("#portrait-choice").get_by_label("Strength 0.6").check()
    page.locator("#portrait-onward").click()
    expect(page.locator("#poster-name textarea, #poster-name input").first).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Ada Ångström")
    page.get_by_label("Subject, at the head").fill("Physics 2026")
    page.locator("#poster-make").click()
    expect(page.locator("#poster-picture figure")).to_have_count(1, timeout=SECONDS)
    with page.expect_download() as download:
        page.locator("#poster-picture").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "poster-Ada-Ångström.png"
    data = Path(download.value.path()).read_bytes()
    record = png.record_of(data)
    assert record is not None
    assert record["texts"]["name"] == "Ada Ångström"
    assert record["portraits"][0]["record"]["strength"] == 0.6
    assert b"Private" not in data
    picture = page.locator("#portrait-pictures img").first.get_attribute("src")
    page.context.close()
    for _ in range(150):
        if not cached(study):
            break
        time.sleep(0.2)
    assert cached(study) == []
    assert requests.get(f"{address}{picture}", timeout=20).status_code == 404


def focus_by_tab(page: Page, selector: str, most: int = 80) -> None:
    """Press the tabulator key until the element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => !!document.activeElement?.closest(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the keyboard")


def file_chooser(page: Page, ask: Callable[[], None]) -> FileChooser:
    """What opens when the reader asks for a file; a key pressed while Gradio still builds the tab is lost."""
    for _ in range(10):
        try:
            with page.expect_file_chooser(timeout=SECONDS / 10) as chooser:
                ask()
            return chooser.value
        except TimeoutError:
            continue
    raise AssertionError("no dialog for a file opens")


def test_a_whole_path_by_keyboard_only(address: str, photo: Path, open_page: Open) -> None:
    page = ready(open_page(address, accept_downloads=True))
    focus_by_tab(page, "[role=tab][data-tab-id=portrait]")
    page.keyboard.press("Enter")
    expect(page.locator("#portrait-draw")).to_be_visible()
    page.wait_for_timeout(500)
    focus_by_tab(page, "#portrait-photo button")
    file_chooser(page, lambda: page.keyboard.press("Enter")).set_files(photo)
    caption = page.locator("#portrait-prompt textarea")
    expect(caption).to_have_value(re.compile(r"Nobel Laureate\.$"), timeout=SECONDS)
    focus_by_tab(page, "#portrait-draw")
    page.keyboard.press("Enter")
    expect(page.locator("#portrait-status")).to_contain_text("pick one", timeout=SECONDS)
    focus_by_tab(page, "#portrait-choice")
    page.keyboard.press("ArrowDown")
    focus_by_tab(page, "#portrait-onward")
    page.keyboard.press("Enter")
    expect(page.locator("#poster-make")).to_be_visible()
    focus_by_tab(page, "#poster-name")
    page.keyboard.type("Bo Öst")
    focus_by_tab(page, "#poster-subject")
    page.keyboard.type("Chemistry")
    focus_by_tab(page, "#poster-make")
    page.keyboard.press("Enter")
    expect(page.locator("#poster-picture figure")).to_have_count(1, timeout=SECONDS)
    focus_by_tab(page, "#poster-picture a")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "poster-Bo-Öst.png"


def test_drawing_stops_in_the_middle(address: str, open_page: Open) -> None:
    page = ready(open_page(address))
    page.get_by_role("button", name="Settings").first.click()
    set_steps(page, 200)
    page.locator("#try-draw").click()
    bar = page.locator("#try-status progress")
    expect(bar).to_have_attribute("max", "400", timeout=SECONDS)
    expect(page.locator("#try-status")).to_contain_text(re.compile(r"about \d+ s left"), timeout=SECONDS)
    done = int(bar.get_attribute("value") or 0)
    page.locator("#try-stop").click()
    expect(page.locator("#try-status")).to_contain_text("Stopped.", timeout=SECONDS)
    assert 0 < done < 400
    expect(page.locator("#try-pictures figure")).not_to_have_count(2)
    # and the next drawing is done
    set_steps(page, 2)
    page.locator("#try-draw").click()
    expect(page.locator("#try-pictures figure")).to_have_count(2, timeout=SECONDS)


def test_three_people_at_once_get_their_own_pictures(address: str, open_page: Open) -> None:
    pages = [ready(open_page(address)) for _ in range(3)]
    for number, page in enumerate(pages):
        page.locator("#try-prompt textarea").fill(f"A man with hat number {number}.")
        page.locator("#try-draw").click()
    for number, page in enumerate(pages):
        expect(page.locator("#try-pictures figure")).to_have_count(2, timeout=SECONDS)
        records = [png.record_of(data) for data in given(page, address, "#try-pictures")]
        assert {record["prompt"] for record in records if record} == {f"A man with hat number {number}."}
        expect(page.locator("#try-gallery figure")).to_have_count(2)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_tab_can_be_used_by_everybody(
    address: str, photo: Path, open_page: Open, width: int, dark: bool, tmp_path: Path
) -> None:
    """axe-core finds nothing serious, and nothing needs scrolling sideways; with and without content."""
    page = ready(open_page(address, width=width, dark=dark))
    page.locator("#try-draw").click()
    expect(page.locator("#try-status")).to_contain_text("same noise", timeout=SECONDS)
    for name in TABS:
        tab(page, name)
        if name in ("Study", "Vote"):
            shown = page.frame_locator(f"iframe[src$='{'vote' if name == 'Vote' else 'study/'}']")
            expect(shown.locator("h1")).to_be_attached(timeout=SECONDS)
            page.wait_for_timeout(500)
        assert wider_than_window(page) == 0, name
        assert accessibility_findings(page) == [], name


def test_the_study_tab_shows_the_study(address: str, study: Path, open_page: Open) -> None:
    """Advice, a table that sorts, the slider over ranks on one noise with near portraits, losses."""
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*") if ".work" not in path.parts}
    page = ready(open_page(address))
    tab(page, "Study")
    shown = page.frame_locator("iframe[src='/study/']")
    expect(shown.locator(".headline")).to_contain_text("Take rank", timeout=SECONDS)
    shown.get_by_role("button", name=re.compile("^KID")).first.click()
    expect(shown.locator("#sorted")).to_contain_text("Sorted by KID")
    assert shown.locator("td .bar").count() > 10
    slider, picture = shown.locator("#explore-model"), shown.locator("#explore-picture")
    seen = []
    for place in range(3):
        slider.fill(str(place))
        seen.append(picture.get_attribute("src"))
    assert [source.split("/")[3] for source in seen if source] == ["baseline", "rank-4", "rank-16"]
    assert len({source.split("/")[4] for source in seen if source}) == 1
    expect(shown.locator("#explore-near figure")).to_have_count(3)
    assert picture.evaluate("image => image.naturalWidth") == 128
    expect(shown.locator("#losses img")).to_be_visible()
    tab(page, "Vote")
    vote = page.frame_locator("iframe[src='/study/vote']")
    vote.get_by_label(re.compile("Your name")).fill("Ada")
    vote.get_by_role("button", name="Start").click()
    vote.get_by_role("button", name=re.compile("Left is better")).click()
    expect(vote.locator("#vote-progress")).to_contain_text("1 vote by Ada")
    after = {path: path.stat().st_mtime_ns for path in study.rglob("*") if ".work" not in path.parts}
    assert after == before


def test_another_host_needs_the_token(study: Path, open_page: Open) -> None:
    with app_study.running(study, "--host", "0.0.0.0", "--token", "open-sesame-7") as found:
        reached = found.replace("0.0.0.0", "127.0.0.1")
        page = open_page(reached)
        expect(page.get_by_text("Type the token")).to_be_visible()
        page.get_by_label("Token").fill("open-sesame-7")
        page.get_by_role("button", name="Open").click()
        ready(page)
        assert "open-sesame-7" not in page.url
        page.locator("#try-draw").click()
        expect(page.locator("#try-pictures figure")).to_have_count(2, timeout=2 * SECONDS)


def test_an_error_is_the_sentence_of_the_command(address: str, tmp_path: Path, open_page: Open) -> None:
    page = ready(open_page(address))
    page.locator("#try-prompt textarea").fill(" ")
    page.locator("#try-draw").click()
    expect(page.locator("#try-status .problem")).to_contain_text("the prompt is empty", timeout=SECONDS)
    tab(page, "Portrait")
    page.locator("#portrait-draw").click()
    expect(page.locator("#portrait-status .problem")).to_contain_text("Choose a photo first", timeout=SECONDS)
    (tmp_path / "none.png").write_bytes(b"no picture")
    page.locator("#portrait-photo input[type=file]").set_input_files(tmp_path / "none.png")
    problem = page.locator("#portrait-status .problem")
    expect(problem).to_contain_text("the photo cannot be used: it is no picture", timeout=SECONDS)
    tab(page, "Poster")
    page.locator("#poster-make").click()
    expect(page.locator("#poster-status .problem")).to_contain_text("no portrait yet", timeout=SECONDS)
