"""How the page looks: the colours of the report, fonts of the system, nothing fetched."""

from __future__ import annotations

from importlib import resources

import gradio as gr

SANS = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
MONO = ["ui-monospace", "Menlo", "Consolas", "monospace"]
GOLD = gr.themes.Color(
    name="gold", c50="#fbf6e6", c100="#f4e9c3", c200="#ead694", c300="#dcbd5c", c400="#c9a227",
    c500="#a5811a",
    c600="#7d6110", c700="#654e0d", c800="#4d3b0a", c900="#362a07", c950="#221a04",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Gradio's plain theme in gold and grey; text has a contrast of at least 4.5 : 1, light and dark."""
    made = gr.themes.Base(
        primary_hue=GOLD, secondary_hue=GOLD, neutral_hue="stone", font=SANS, font_mono=MONO
    )
    return made.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover_dark="*primary_200",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )


def text(name: str) -> str:
    """A file of static/."""
    return (resources.files("laureate.app") / "static" / name).read_text(encoding="utf-8")
