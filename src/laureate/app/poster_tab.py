"""Tab "Poster": a portrait and texts => a poster to download."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from laureate.app import fragments
from laureate.app.jobs import Reporter
from laureate.app.resources import Resources, safely
from laureate.app.sessions import Made, Session
from laureate.core.errors import LaureateError
from laureate.poster import poster_file
from laureate.poster.compose import NARROWEST, NOTE, WIDEST

NONE = ""  # of the choices of a portrait


@dataclass(frozen=True)
class Fields:
    """The choices of portraits, which the other tabs fill."""

    first: gr.Dropdown
    second: gr.Dropdown


def choices(session: Session) -> list[tuple[str, str]]:
    """The portraits and drawings that a browser has made: name, key."""
    made = [*session.of_kind("portrait"), *session.of_kind("drawing")]
    return [
        (f"{place}. {m.title}: {m.alt.partition(': ')[2][:40]}", m.key) for place, m in enumerate(made, 1)
    ]


def make(
    resources: Resources,
    session: Session,
    first: str | None,
    file: str | None,
    name: str,
    subject: str,
    contribution: str,
    footer: str,
    second: str | None,
    second_name: str,
    width: float,
    note: bool,
) -> Iterator[tuple[Any, ...]]:
    """Set a poster => status, the poster. Raises LaureateError where there is no portrait."""
    texts = {"subject": subject, "name": name, "contribution": contribution, "footer": footer}
    if file is not None:
        session.uploads.add(Path(file))
        portraits = [("the file", Path(file).read_bytes())]
    else:
        portraits = [("the portrait", _made(session, first).png)]
    if second:
        portraits.append(("the second portrait", _made(session, second).png))
        texts = {"subject": subject, "name": name, "second_name": second_name} | texts

    def work(reporter: Reporter) -> str:
        reporter.say("Setting the poster")
        data, (wide, high) = poster_file.make(portraits, texts, width=int(width), note=note)
        names = " and ".join(filter(None, [name.strip(), second_name.strip() if second else ""]))
        called = "".join(letter if letter.isalnum() else "-" for letter in names)[:60]
        title, detail = f"Poster of {names}", f"{wide} x {high} pixels"
        made = Made("poster", data, f"poster-{called}.png", title, detail, f"{title}: {subject}")
        reporter.give(resources.add(session, made))
        return "Done: download it below the poster."

    for status, poster in resources.updates(session, work, 1):
        if poster is None:
            yield status, gr.skip()
        else:
            yield gr.skip(), fragments.figures([poster])


def _made(session: Session, key: str | None) -> Made:
    found = session.made.get(key or "")
    if found is None:
        raise LaureateError("there is no portrait yet: draw one in the tab Portrait or Try, or give a file")
    return found


def build(resources: Resources) -> Fields:
    """Lay the tab out, inside a gr.Tab."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            first = gr.Dropdown([], label="Portrait", elem_id="poster-first", filterable=False)
            with gr.Accordion("A portrait from a file instead", open=False):
                file = gr.File(label="File", file_types=["image"], type="filepath", elem_id="poster-file")
            name = gr.Textbox(label="Name", elem_id="poster-name", max_length=200)
            subject = gr.Textbox(label="Subject, at the head", elem_id="poster-subject", max_length=300)
            contribution = gr.Textbox(label="What for, under the name", lines=2, max_length=600)
            footer = gr.Textbox(label="Last line", max_length=200)
            with gr.Accordion("Two people, size, note", open=False):
                second = gr.Dropdown([("none", NONE)], value=NONE, label="Second portrait", filterable=False)
                second_name = gr.Textbox(label="Second name", max_length=200)
                width = gr.Slider(NARROWEST, WIDEST, poster_file.WIDTH, step=20, label="Width in pixels")
                note = gr.Checkbox(True, label=f'Say "{NOTE}" on the picture')
            go = gr.Button("Make the poster", variant="primary", elem_id="poster-make")
        with gr.Column(scale=3, min_width=280):
            status = gr.HTML(elem_id="poster-status", elem_classes="said", min_height=48)
            poster = gr.HTML(elem_id="poster-picture")

    def begin(request: gr.Request, *fields: Any) -> Iterator[tuple[Any, ...]]:
        session = resources.sessions.of(request.session_hash)
        yield from safely(make(resources, session, *fields), 2)

    fields = [first, file, name, subject, contribution, footer, second, second_name, width, note]
    go.click(
        begin,
        fields,
        [status, poster],
        concurrency_id="poster",
        concurrency_limit=2,
        show_progress="minimal",
        show_progress_on=status,
        api_visibility="private",
    )
    return Fields(first, second)
