"""The web server of the app: Gradio's page behind the gate, pictures from memory, the study's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Response

from laureate.app import layout, study_files, study_page, theme
from laureate.app.gate import Gate
from laureate.app.resources import Resources
from laureate.core.paths import DATASET, SAMPLES
from laureate.core.secrets import Secret

PRIVATE = {"cache-control": "no-store"}
NOT_THERE = Response("this picture is not there any more", 404, PRIVATE, "text/plain")


def build(resources: Resources, token: Secret | None) -> Gate:
    """The web application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/made/{name}")
    def made(name: str) -> Response:
        found = resources.sessions.find(name.removesuffix(".png"))
        if found is None:
            return NOT_THERE
        return Response(found.png, 200, PRIVATE, "image/png")

    @app.get("/study/")
    def study() -> Response:
        return _page(study_page.render(study_files.read(resources.params)))

    @app.get("/study/vote")
    def vote() -> Response:
        return _page(study_page.vote(study_files.read(resources.params)))

    @app.get("/study/sample/{model}/{name}")
    def sample(model: str, name: str) -> Response:
        known = ["baseline", *resources.params.adapters]
        return _picture(SAMPLES / model, name) if model in known else NOT_THERE

    @app.get("/study/train/{name}")
    def portrait(name: str) -> Response:
        return _picture(DATASET / "train", name)

    gr.mount_gradio_app(
        app,
        layout.build(resources),
        path="/",
        footer_links=[],
        run_history=False,  # else the browser would keep what was uploaded and made
        show_error=False,
        max_file_size=int(resources.params.crawl.megabytes * 1e6),
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme.theme(),
        css=theme.text("app.css"),
        head=f"<style>{theme.text('page.css')}</style>\n<script>{theme.text('app.js')}</script>",
    )
    return Gate(app, token)


def _page(text: str) -> Response:
    return Response(text, 200, {"cache-control": "no-cache"}, "text/html; charset=utf-8")


def _picture(folder: Path, name: str) -> Response:
    """A PNG of the study, by its plain name."""
    file = folder / name
    if Path(name).name != name or file.suffix.lower() != ".png" or not file.is_file():
        return NOT_THERE
    return Response(file.read_bytes(), 200, {"cache-control": "no-cache"}, "image/png")


def configuration(app: Any) -> Any:
    """uvicorn's configuration: no log of requests, a quick end."""
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
        ws="none",
    )
