"""HTML fragments of the tabs: figures, the status line, errors. All texts are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from laureate.app.jobs import Progress
from laureate.app.sessions import Made


def figures(pictures: Sequence[Made], empty: str = "") -> str:
    """Pictures side by side, each with its title, how it was made, and a link that downloads it."""
    if not pictures:
        return f'<p class="empty">{escape(empty)}</p>' if empty else ""
    return f'<div class="figures">{"".join(_figure(made) for made in pictures)}</div>'


def _figure(made: Made) -> str:
    alt, title, detail, name = (escape(text) for text in (made.alt, made.title, made.detail, made.name))
    return (
        f'<figure class="{made.kind}"><img src="{made.address}" alt="{alt}" loading="lazy">'
        f"<figcaption><b>{title}</b> <span>{detail}</span> "
        f'<a href="{made.address}" download="{name}">Download<span class="unseen"> {title}</span></a>'
        "</figcaption></figure>"
    )


def status(progress: Progress) -> str:
    """What is being done, with a bar and the time that remains. `data-say` is read to screen readers."""
    text = escape(progress.text)
    left = "" if progress.left is None else f", about {max(1, round(progress.left))} s left"
    return (
        f'<p class="status" data-say="{text}">{text}{left}</p>'
        f'<progress max="{progress.total}" value="{progress.done}" aria-label="{text}"></progress>'
    )


def note(text: str) -> str:
    """A sentence on what was done."""
    return f'<p class="status" data-say="{escape(text)}">{escape(text)}</p>' if text else ""


def problem(text: str) -> str:
    """An error, as the commands say it."""
    return f'<p class="status problem" data-say="{escape(text)}">{escape(text)}</p>'
