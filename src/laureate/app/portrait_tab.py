"""Tab "Portrait": a photo, its caption, portraits of it at three strengths, one of which is picked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr

from laureate.app import fragments
from laureate.app.jobs import Reporter
from laureate.app.resources import Resources, safely
from laureate.app.sessions import Made, Session
from laureate.app.try_tab import MOST_LETTERS, title_of
from laureate.core.errors import LaureateError
from laureate.img2img import photo as photos
from laureate.img2img.pipeline import Settings
from laureate.sampling.generator import MOST_GUIDANCE, MOST_STEPS

STRENGTHS = {"ink": (0.3, 0.45, 0.6), "photo": (0.6, 0.75, 0.9)}  # docs/portrait.md has the curves
FIRST = "Choose a photo first: a picture of one person."


def taken(resources: Resources, session: Session, path: str | None) -> Iterator[tuple[Any, ...]]:
    """A photo was chosen, or removed => status, caption, the square that is drawn from."""
    for before in list(session.uploads):
        if str(before) != path:
            resources.sessions.forget(session, before)
    session.photo = None
    if path is None:
        yield "", "", ""
        return
    session.uploads.add(Path(path))
    session.photo = data = Path(path).read_bytes()

    def work(reporter: Reporter) -> str:
        reporter.say("Reading the photo")
        photo = load(resources, data, "ink", "paper")
        reporter.give((photo, resources.portraits.caption(photo)))
        return "Done: mend the caption if it is wrong."

    for status, given in resources.updates(session, work, 1):
        if given is None:
            yield status or gr.skip(), gr.skip(), gr.skip()
        else:
            photo, caption = given
            yield gr.skip(), caption, f'<p class="status">Ground: {photo.ground}. Part: {photo.square}.</p>'


def load(resources: Resources, data: bytes, start: str, background: str) -> photos.Photo:
    """A photo, ready to be drawn from. Raises LaureateError as `photo.load` does."""
    params = resources.params
    return photos.load(
        data,
        params.prepare,
        params.drawn_at,
        params.crawl.megapixels,
        resources.portraits.paper_colour,
        background=cast(photos.Background, background),
        ink=start == "ink",
    )


def command(model: str, start: str, background: str, settings: Settings, seed: int) -> str:
    """The same portrait by the command line, of a photo called PHOTO."""
    words = ["laureate", "portrait", "PHOTO", "--model", model, "--start", start, "--background", background]
    for name, value in (
        ("strength", settings.strength), ("guidance", settings.guidance), ("steps", settings.steps),
    ):  # fmt: skip
        words += [f"--{name}", f"{value:g}"]
    return shlex.join([*words, "--seed", str(seed), f"--prompt={settings.prompt}"])


def draw(
    resources: Resources,
    session: Session,
    prompt: str,
    model: str,
    start: str,
    background: str,
    guidance: float,
    steps: float,
    seed: float | None,
) -> Iterator[tuple[Any, ...]]:
    """Draw at three strengths => status, portraits, the choice among them, command; as they come.

    Raises LaureateError: no photo, one that cannot be used, a value outside its range, an unknown model.
    """
    if session.photo is None:
        raise LaureateError(FIRST)
    if seed is None or not 0 <= seed < 2**32:
        raise LaureateError(f"the seed must be a whole number from 0 to {2**32 - 1}")
    resources.portraits.check(model)
    wanted = [
        resources.portraits.settings(prompt, strength=strength, guidance=guidance, steps=int(steps))
        for strength in STRENGTHS[start]
    ]
    photo = load(resources, session.photo, start, background)
    resources.keep_photo(session.photo)

    def work(reporter: Reporter) -> str:
        for place, settings in enumerate(wanted, start=1):
            reporter.say(f"Drawing at strength {settings.strength:g} ({place} of {len(wanted)})")
            (portrait,) = resources.portraits.draw(photo, model, settings, [int(seed)], reporter.step)
            off = portrait.record["paper"]["distance"]
            name = f"{photo.sha256[:12]}-{model}-{int(seed)}-{settings.strength:g}.png"
            detail = f"{title_of(model)}, seed {int(seed)}, {settings.run} steps, paper off by {off:g} levels"
            title = f"Strength {settings.strength:g}"
            alt = f"Portrait at strength {settings.strength:g}: {settings.prompt}"
            made = Made("portrait", portrait.png(), name, title, detail, alt)
            reporter.give(resources.add(session, made))
        return "Done: pick one for a poster."

    so_far: list[Made] = []
    yield (
        fragments.note("Loading the model"),
        "",
        gr.skip(),
        command(model, start, background, wanted[1], int(seed)),
    )
    for status, portrait in resources.updates(session, work, sum(settings.run for settings in wanted)):
        if portrait is None:
            yield status, gr.skip(), gr.skip(), gr.skip()
            continue
        so_far.append(portrait)
        middle = so_far[min(1, len(so_far) - 1)]
        choice = gr.update(choices=[(m.title, m.key) for m in so_far], value=middle.key)
        yield gr.skip(), fragments.figures(so_far), choice, gr.skip()


def build(resources: Resources) -> tuple[gr.Radio, gr.Button]:
    """Lay the tab out, inside a gr.Tab => the choice among the portraits, and the button that takes it on."""
    portraits, own = resources.portraits, resources.params.sample
    kept = "It is kept only in this program's cache, and deleted when this page is closed."
    if resources.keep is not None:
        kept = f"This app was started with --keep: photos that are drawn from stay in {resources.keep}."
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = gr.Image(
                label="Photo of one person",
                sources=["upload", "webcam"],
                type="filepath",
                image_mode=None,
                height=280,
                buttons=[],
                webcam_options=gr.WebcamOptions(mirror=False),
                elem_id="portrait-photo",
            )
            # the path of the uploaded bytes as they are: nothing is decoded or copied here
            photo.preprocess = cast(Any, lambda payload: payload and payload.path)  # type: ignore[method-assign]
            gr.Markdown(kept)
            ground = gr.HTML(elem_id="portrait-ground")
            prompt = gr.Textbox(
                label="Caption: what the portrait is to show",
                lines=3,
                max_length=MOST_LETTERS,
                elem_id="portrait-prompt",
            )
            with gr.Row():
                go = gr.Button("Draw three portraits", variant="primary", elem_id="portrait-draw")
                stop = gr.Button("Stop", elem_id="portrait-stop")
            with gr.Accordion("Settings", open=False):
                named = [(title_of(model), model) for model in portraits.models]
                model = gr.Dropdown(named, value=portraits.default, label="Model", elem_id="portrait-model")
                start = gr.Radio(
                    [("tones of ink", "ink"), ("the photo's own tones", "photo")],
                    value="ink",
                    label="Start from",
                )
                background = gr.Radio(
                    [("made paper", "paper"), ("kept", "keep")], value="paper", label="Ground of the photo"
                )
                guidance = gr.Slider(1, MOST_GUIDANCE, own.guidance, step=0.5, label="Guidance")
                steps = gr.Slider(1, MOST_STEPS, own.steps, step=1, label="Steps")
                seed = gr.Number(1, precision=0, minimum=0, maximum=2**32 - 1, label="Seed of the noise")
        with gr.Column(scale=3, min_width=280):
            status = gr.HTML(elem_id="portrait-status", elem_classes="said", min_height=48)
            pictures = gr.HTML(elem_id="portrait-pictures")
            choice = gr.Radio([], label="Pick one, once it is drawn", elem_id="portrait-choice")
            onward = gr.Button("Make a poster of it", elem_id="portrait-onward")
            words = gr.Textbox(
                label="The middle one as a command",
                buttons=["copy"],
                interactive=False,
                elem_id="portrait-command",
            )

    def seen(request: gr.Request, path: str | None) -> Iterator[tuple[Any, ...]]:
        session = resources.sessions.of(request.session_hash)
        yield from safely(taken(resources, session, path), 3)

    def begin(request: gr.Request, *fields: Any) -> Iterator[tuple[Any, ...]]:
        session = resources.sessions.of(request.session_hash)
        yield from safely(draw(resources, session, *fields), 4)

    def cancel(request: gr.Request) -> None:
        resources.sessions.of(request.session_hash).stop()

    shared: dict[str, Any] = {
        "concurrency_id": "draw",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": status,
        "api_visibility": "private",
    }
    photo.change(seen, photo, [status, prompt, ground], **shared)
    fields = [prompt, model, start, background, guidance, steps, seed]
    go.click(begin, fields, [status, pictures, choice, words], **shared)
    stop.click(cancel, queue=False, api_visibility="private")
    return choice, onward
