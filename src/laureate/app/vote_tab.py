"""Tab "Vote": the blind vote of the report, on pictures of the study."""

from __future__ import annotations

import gradio as gr

ADDRESS = "/study/vote"


def build() -> None:
    """Lay the tab out, inside a gr.Tab."""
    gr.HTML(f'<iframe class="part" src="{ADDRESS}" title="Blind vote" loading="lazy"></iframe>')
