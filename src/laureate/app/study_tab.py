"""Tab "Study": the finished study, read from its files; nothing is run or drawn."""

from __future__ import annotations

import gradio as gr

ADDRESS = "/study/"


def build() -> None:
    """Lay the tab out, inside a gr.Tab: the page is a frame, which the server writes anew at every look."""
    gr.HTML(f'<iframe class="part" src="{ADDRESS}" title="The study" loading="lazy"></iframe>')
