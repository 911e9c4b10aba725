"""Forms of the tabs: what they check, and the command that gives the same."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import app_study
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate import cli
from laureate.app import fragments, portrait_tab, study_files, study_page, try_tab
from laureate.app.jobs import Progress
from laureate.app.resources import Resources, safely, sentence
from laureate.app.sessions import Made
from laureate.app.try_tab import Wanted
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.img2img.generator import PortraitGenerator
from laureate.img2img.pipeline import Settings as PortraitSettings
from laureate.sampling.generator import Generator, Settings

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(lambda t: t.strip())


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(0, 2), st.floats(1, 30))
def test_the_command_of_drawings_means_the_same(
    prompt: str, seed: int, steps: int, strength: float, guidance: float
) -> None:
    given = Settings(round(guidance, 2), steps, round(strength, 2))
    words = shlex.split(try_tab.command(Wanted(prompt, ["baseline", "rank-16/step-80"], given, seed)))
    options = cli._options(words[1:])
    assert options["prompt"] == prompt
    assert options["models"] == ["baseline", "rank-16/step-80"]
    assert (options["seed"], options["steps"]) == (seed, steps)
    assert options["strength"] == pytest.approx(given.strength)
    assert options["guidance"] == pytest.approx(given.guidance)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_the_command_of_a_portrait_means_the_same(prompt: str, seed: int, strength: float) -> None:
    given = PortraitSettings(prompt, strength=round(strength, 2), guidance=4.5, steps=20)
    words = shlex.split(portrait_tab.command("rank-16", "photo", "keep", given, seed))
    options = cli._options(words[1:])
    assert options["prompt"] == prompt
    assert options["strength"] == pytest.approx(given.strength)
    assert (options["seed"], options["steps"], options["guidance"]) == (seed, 20, 4.5)
    assert (options["model"], options["start"], options["background"]) == ("rank-16", "photo", "keep")


@given(st.text(), st.text())
def test_no_text_becomes_markup(text: str, name: str) -> None:
    made = Made("drawing", b"", name, text, text, text)
    for html in (
        fragments.figures([made]),
        fragments.status(Progress(text, 1, 2, 3.0)),
        fragments.problem(text),
        fragments.figures([], text),
    ):
        inner = html.replace("&lt;", "").replace("&gt;", "")
        assert inner.count("<") == inner.count(">")
        assert "<script" not in html


@pytest.fixture(scope="module")
def made_study(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    return app_study.make(tmp_path_factory.mktemp("app"), tiny_models)


@pytest.fixture
def resources(made_study: Path, working_copy: Callable[[Path], Path]) -> Resources:
    working_copy(made_study)
    loaded = params.load()
    generator = Generator(loaded)
    return Resources(loaded, generator, PortraitGenerator(loaded, found=generator.found))


GOOD: tuple[Any, ...] = ("A hat.", ["baseline"], [], 1.0, 4.0, 4, 1)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (0, "  ", "the prompt is empty"),
        (1, [], "no model is chosen"),
        (1, ["rank-64"], "there is no model 'rank-64'; choose one of baseline, rank-4, rank-16"),
        (2, ["../../data"], "there is no model"),
        (3, 2.5, "strength is 2.5"),
        (4, 0.5, "guidance is 0.5"),
        (5, 0, "steps is 0"),
        (6, None, "the seed must be a whole number"),
        (6, -1, "the seed must be a whole number"),
    ],
)
def test_a_wrong_field_is_one_sentence(resources: Resources, place: int, value: object, says: str) -> None:
    fields = [*GOOD]
    fields[place] = value
    with pytest.raises(LaureateError, match=says.replace("'", ".")):
        try_tab.checked(resources, *fields)


def shown(updates: Iterator[tuple[Any, ...]]) -> str:
    """The last status of a form's updates."""
    texts = [update[0] for update in updates if isinstance(update[0], str)]
    return texts[-1]


def test_what_try_draws_is_what_its_command_writes(resources: Resources) -> None:
    session = resources.sessions.of("a")
    fields = ("A hat.", ["baseline", "rank-4"], [], 0.5, 3.0, 2, 7)
    assert "same noise" in shown(try_tab.draw(resources, session, *fields))
    made = {picture.name: picture.png for picture in session.of_kind("drawing")}
    words = shlex.split(try_tab.command(try_tab.checked(resources, *fields)))
    assert cli.main(words[1:]) == 0
    assert {file.name: file.read_bytes() for file in Path("drawings").iterdir()} == made


def test_the_middle_portrait_is_what_its_command_writes(resources: Resources) -> None:
    session, photo = resources.sessions.of("a"), app_study.photo(Path("me.png").resolve())
    assert "mend the caption" in shown(portrait_tab.taken(resources, session, str(photo)))
    updates = list(portrait_tab.draw(resources, session, "A hat.", "rank-4", "ink", "paper", 3.0, 4, 7))
    assert "pick one" in updates[-1][0]
    words = [str(photo) if word == "PHOTO" else word for word in shlex.split(updates[0][3])]
    assert cli.main([*words[1:], "--out", "out.png"]) == 0
    portraits = session.of_kind("portrait")
    assert [picture.title for picture in portraits] == ["Strength 0.6", "Strength 0.45", "Strength 0.3"]
    assert portraits[1].png == Path("out.png").read_bytes()
    assert not Path("portraits").exists()  # nothing is kept


def test_keep_keeps_the_photo_and_what_is_made_of_it(resources: Resources) -> None:
    resources.keep, session = Path("kept"), resources.sessions.of("a")
    photo = app_study.photo(Path("me.png").resolve())
    list(portrait_tab.taken(resources, session, str(photo)))
    list(portrait_tab.draw(resources, session, "A hat.", "rank-4", "ink", "paper", 3.0, 4, 7))
    kept = {file.name: file.read_bytes() for file in Path("kept").iterdir()}
    assert photo.read_bytes() in kept.values()
    assert {made.png for made in session.of_kind("portrait")} < set(kept.values())
    assert len(kept) == 4
    Path("full").write_text("no folder")
    resources.keep = Path("full")
    updates = safely(portrait_tab.draw(resources, session, "A hat.", "rank-4", "ink", "paper", 3.0, 4, 7), 4)
    assert "problem" in shown(updates)


def test_the_study_is_read_and_nothing_is_written(resources: Resources) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    study = study_files.read(resources.params)
    assert study.missing == []
    page = study_page.render(study)
    vote = study_page.vote(study)
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    assert study.gallery is not None
    assert study.gallery.models == ["baseline", "rank-4", "rank-16"]
    assert len(study.gallery.noises) == 8
    assert all(len(noise.nearest["rank-4"]) == 3 for noise in study.gallery.noises)
    for text in ("Take rank", "Scores of all models", "Through the ranks", "Training and held-out loss"):
        assert text in page
    assert "/study/sample/rank-16/" in page
    assert "/study/sample/rank-16/" in vote


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("metrics/comparison.csv", "metrics/comparison.csv does not exist; run `laureate compare` first."),
        ("metrics/adviser.json", "metrics/adviser.json does not exist"),
        ("metrics/train", "metrics/train has no loss curves"),
        ("data/samples", "data/samples has no pictures; run `make study` first."),
    ],
)
def test_what_is_missing_is_a_sentence_and_the_rest_is_shown(
    resources: Resources, gone: str, says: str
) -> None:
    shutil.rmtree(gone, ignore_errors=True)
    Path(gone).unlink(missing_ok=True)
    page = study_page.render(study_files.read(resources.params))
    assert says in page
    assert page.count("<section") >= 2


def test_an_unexpected_error_is_logged_and_named(
    resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "fault of laureate" in sentence(ZeroDivisionError("somewhere"))
    assert "see .work/errors" in capsys.readouterr().err
