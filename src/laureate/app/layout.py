"""The whole page: heading, tabs, what binds them, and the line on rights."""

from __future__ import annotations

from typing import Any

import gradio as gr

from laureate.app import portrait_tab, poster_tab, study_tab, try_tab, vote_tab
from laureate.app.resources import Resources

RIGHTS = (
    "Ask before you draw somebody, and before you show it: a person has a say over their face, and whoever "
    "made the style over the style. Nothing leaves this machine; every picture says in its metadata that it "
    "is generated."
)
WAITING = 16  # requests that may wait for their turn


def build(resources: Resources) -> gr.Blocks:
    """The page of an app."""
    with gr.Blocks(title="laureate", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"# {resources.params.report.title}", elem_id="heading")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Try", id="try"):
                try_tab.build(resources)
            with gr.Tab("Portrait", id="portrait") as portrait:
                choice, onward = portrait_tab.build(resources)
            with gr.Tab("Poster", id="poster") as poster:
                fields = poster_tab.build(resources)
            with gr.Tab("Study", id="study"):
                study_tab.build()
            with gr.Tab("Vote", id="vote"):
                vote_tab.build()
        gr.Markdown(RIGHTS, elem_id="rights")

        def known(chosen: str | None, second: str | None, request: gr.Request) -> tuple[Any, Any]:
            made = poster_tab.choices(resources.sessions.of(request.session_hash))
            keys = [key for _, key in made]
            first = chosen if chosen in keys else keys[0] if keys else None
            more = [("none", poster_tab.NONE), *made]
            return gr.update(choices=made, value=first), gr.update(
                choices=more, value=second if second in keys else poster_tab.NONE
            )

        def leave(request: gr.Request) -> None:
            resources.sessions.leave(request.session_hash)

        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        both = [fields.first, fields.second]
        poster.select(known, both, both, **quick)
        portrait.select(resources.warm_captioner, **quick)
        onward.click(known, [choice, fields.second], both, **quick).then(
            lambda: gr.Tabs(selected="poster"), outputs=tabs, **quick
        )
        page.unload(leave)
    page.queue(max_size=WAITING, default_concurrency_limit=4, api_open=False)
    return page
