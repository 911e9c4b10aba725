"""What the app holds for a browser: nothing of it is left when the browser leaves."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.app import sessions
from laureate.app.sessions import Made, Sessions


def made(name: str = "a.png") -> Made:
    return Made("drawing", b"png", name, "rank 4", "seed 1", "a hat")


def upload(folder: Path, name: str) -> Path:
    """A file as Gradio leaves it: in a folder named after its content."""
    file = folder / name / "Ada Private.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"photo")
    return file


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=30))
def test_a_picture_is_found_until_its_browser_leaves(events: list[tuple[str, bool]]) -> None:
    every = Sessions()
    there: dict[str, list[str]] = {"a": [], "b": []}
    gone = []
    for name, leaves in events:
        if leaves:
            every.leave(name)
            gone += there[name]
            there[name] = []
        else:
            there[name].append(every.add(every.of(name), made()).key)
    assert all(every.find(key) is not None for keys in there.values() for key in keys)
    assert all(every.find(key) is None for key in gone)


def test_the_oldest_of_many_pictures_are_dropped() -> None:
    every = Sessions()
    session = every.of("a")
    keys = [every.add(session, made()).key for _ in range(sessions.MOST + 3)]
    assert [key for key in keys if every.find(key) is None] == keys[:3]
    assert len(set(keys)) == len(keys)


def test_uploads_are_deleted_when_the_last_browser_with_them_leaves(tmp_path: Path) -> None:
    every, file, other = Sessions(), upload(tmp_path, "x"), upload(tmp_path, "y")
    every.of("a").uploads |= {file, other}
    every.of("b").uploads.add(file)
    every.leave("a")
    assert file.is_file()
    assert not other.parent.exists()
    every.leave("b")
    assert not file.parent.exists()
    every.leave("b")  # a second time, and one that never came
    every.leave(None)


def test_leaving_and_stopping_end_the_jobs_of_that_browser_only() -> None:
    every = Sessions()
    with every.of("a").job() as one, every.of("b").job() as other:
        every.of("a").stop()
        assert one.is_set()
        assert not other.is_set()
        every.leave("b")
        assert other.is_set()
    assert every.of("a").jobs == set()
