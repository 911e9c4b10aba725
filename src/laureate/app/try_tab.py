"""Tab "Try": a prompt drawn by the base and by adapters side by side, from the same noise."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from random import randrange
from typing import Any

import gradio as gr

from laureate.app import fragments
from laureate.app.jobs import Reporter
from laureate.app.resources import Resources, safely
from laureate.app.sessions import Made, Session
from laureate.core.errors import LaureateError
from laureate.formats import prompts
from laureate.sampling import generator
from laureate.sampling.generator import BASELINE, MOST_GUIDANCE, MOST_STEPS, MOST_STRENGTH, Settings

EMPTY = "Pictures that you draw stand here until this page is closed."
MOST_LETTERS = 2000


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn."""

    prompt: str
    models: list[str]
    settings: Settings
    seed: int


def title_of(model: str) -> str:
    """`rank-16/arms/seed-43/step-80` => rank 16, seed-43, step-80."""
    rank, *rest = (part for part in model.split("/") if part != "arms")
    return ", ".join([rank.replace("-", " "), *rest])


def command(wanted: Wanted) -> str:
    """The same pictures by the command line."""
    words = ["laureate", "draw"]
    for model in wanted.models:
        words += ["--model", model]
    given = wanted.settings
    for name, value in (("strength", given.strength), ("guidance", given.guidance), ("steps", given.steps)):
        words += [] if value is None else [f"--{name}", f"{value:g}"]
    words += ["--seed", str(wanted.seed), *(["--"] if wanted.prompt.startswith("-") else []), wanted.prompt]
    return shlex.join(words)


def checked(
    resources: Resources,
    prompt: str,
    models: list[str],
    further: list[str],
    strength: float,
    guidance: float,
    steps: float,
    seed: float | None,
) -> Wanted:
    """The fields of the form, checked before anything is loaded. Raises LaureateError."""
    if not prompt.strip():
        raise LaureateError("the prompt is empty: say what the picture is to show")
    if seed is None or not 0 <= seed < 2**32:
        raise LaureateError(f"the seed must be a whole number from 0 to {2**32 - 1}")
    settings = resources.generator.settings(guidance=guidance, steps=int(steps), strength=strength)
    chosen = [*models, *further]
    if not chosen:
        raise LaureateError("no model is chosen: choose the baseline or an adapter")
    for model in chosen:
        resources.generator.check(model)
    order = [
        variant for known in resources.generator.models for variant in resources.generator.variants(known)
    ]
    return Wanted(prompt, sorted(chosen, key=order.index), settings, int(seed))


def draw(resources: Resources, session: Session, *fields: Any) -> Iterator[tuple[Any, ...]]:
    """Draw with every chosen model => status, pictures, all pictures so far, command; as they come.

    `fields` are those of `checked`, which says what is raised.
    """
    wanted = checked(resources, *fields)
    loaded, side = resources.generator, resources.params.drawn_at

    def work(reporter: Reporter) -> str:
        for place, model in enumerate(wanted.models, start=1):
            counted = f" ({place} of {len(wanted.models)})" if len(wanted.models) > 1 else ""
            reporter.say(f"Drawing: {title_of(model)}{counted}")
            (picture,) = loaded.draw(
                model, wanted.prompt, [wanted.seed], (side, side), wanted.settings, reporter.step
            )
            data = loaded.png(picture, model, wanted.prompt, wanted.seed, wanted.settings)
            given = wanted.settings
            detail = f"seed {wanted.seed}, guidance {given.guidance:g}, {given.steps} steps"
            if model != BASELINE and loaded.strength(model, given) != 1:
                detail = f"strength {loaded.strength(model, given):g}, {detail}"
            name = generator.file_name(wanted.prompt, model, wanted.seed)
            alt = f"{title_of(model)}: {wanted.prompt}"
            made = Made("drawing", data, name, title_of(model), detail, alt)
            reporter.give(resources.add(session, made))
        cut = loaded.read(wanted.prompt)[1]
        return f"{cut[:1].upper()}{cut[1:]}." if cut else "Done: all of them start from the same noise."

    so_far: list[Made] = []
    yield fragments.note("Loading the models"), "", gr.skip(), command(wanted)
    for status, picture in resources.updates(session, work, len(wanted.models) * wanted.settings.steps):
        if picture is not None:
            so_far.append(picture)
        shown = gr.skip() if picture is None else fragments.figures(so_far)
        every = gr.skip() if picture is None else fragments.figures(session.of_kind("drawing"))
        yield status or gr.skip(), shown, every, gr.skip()


def build(resources: Resources) -> None:
    """Lay the tab out, inside a gr.Tab."""
    own, models = resources.params.sample, resources.generator.models
    selected = resources.params.selected
    chosen = [BASELINE, *([selected] if selected in models else models[1:2])]
    further = [v for m in models for v in resources.generator.variants(m) if v != m]
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            prompt = gr.Textbox(
                label="Prompt",
                lines=3,
                max_length=MOST_LETTERS,
                elem_id="try-prompt",
                value=_example(resources),
            )
            named = [(title_of(model), model) for model in models]
            boxes = gr.CheckboxGroup(named, value=chosen, label="Models, side by side", elem_id="try-models")
            if len(models) == 1:
                gr.Markdown("No adapter has been trained here: `make study` trains them.")
            more = gr.Dropdown(
                [(title_of(model), model) for model in further],
                value=[],
                multiselect=True,
                label="Further adapters: other training seeds, rates and steps",
                visible=bool(further),
            )
            with gr.Row():
                go = gr.Button("Draw", variant="primary", elem_id="try-draw")
                stop = gr.Button("Stop", elem_id="try-stop")
            with gr.Accordion("Settings", open=False):
                strength = gr.Slider(
                    0,
                    MOST_STRENGTH,
                    resources.generator.strength(chosen[-1]),
                    step=0.05,
                    label="Strength of the adapters",
                )
                guidance = gr.Slider(1, MOST_GUIDANCE, own.guidance, step=0.5, label="Guidance")
                steps = gr.Slider(1, MOST_STEPS, own.steps, step=1, label="Steps", elem_id="try-steps")
            with gr.Row():
                seed = gr.Number(1, precision=0, minimum=0, maximum=2**32 - 1, label="Seed of the noise")
                again = gr.Button("Another seed", size="sm")
        with gr.Column(scale=3, min_width=280):
            status = gr.HTML(elem_id="try-status", elem_classes="said", min_height=48)
            pictures = gr.HTML(elem_id="try-pictures")
            words = gr.Textbox(
                label="The same as a command", buttons=["copy"], interactive=False, elem_id="try-command"
            )
    gr.Markdown("### Drawn so far")
    every = gr.HTML(fragments.figures([], EMPTY), elem_id="try-gallery")

    def start(request: gr.Request, *fields: Any) -> Iterator[tuple[Any, ...]]:
        session = resources.sessions.of(request.session_hash)
        yield from safely(draw(resources, session, *fields), 4)

    def cancel(request: gr.Request) -> None:
        resources.sessions.of(request.session_hash).stop()

    fields = [prompt, boxes, more, strength, guidance, steps, seed]
    gr.on(
        [go.click, prompt.submit],
        start,
        fields,
        [status, pictures, every, words],
        concurrency_id="draw",
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=status,
        api_visibility="private",
    )
    stop.click(cancel, queue=False, api_visibility="private")
    again.click(lambda: randrange(2**31), outputs=seed, queue=False, api_visibility="private")


def _example(resources: Resources) -> str:
    """A prompt of the study to begin with, if possible none of the figures', which name people."""
    known = prompts.load(resources.params.sample.prompts)
    return next((prompt.text for prompt in known if prompt.set == "study"), known[0].text)
