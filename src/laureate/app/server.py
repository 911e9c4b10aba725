"""The web server of the app: Gradio's page behind the gate, pictures from memory, the study's pages."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI, Response

from laureate.app import layout, theme
from laureate.app.gate import Gate
from laureate.app.resources import Resources
from laureate.core.secrets import Secret

PRIVATE = {"cache-control": "no-store"}


def build(resources: Resources, token: Secret | None) -> Gate:
    """The web application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/made/{name}")
    def made(name: str) -> Response:
        found = resources.sessions.find(name.removesuffix(".png"))
        if found is None:
            return Response("this picture is not there any more", 404, PRIVATE, "text/plain")
        return Response(found.png, 200, PRIVATE, "image/png")

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
        head=f"<script>\n{theme.text('app.js')}</script>",
    )
    return Gate(app, token)


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
