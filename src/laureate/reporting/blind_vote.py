"""The blind vote as a page of its own; the report has the same. `laureate votes` reads what it saves."""

from __future__ import annotations

from laureate.reporting.gallery import Gallery
from laureate.reporting.templating import environment


def can_vote(gallery: Gallery | None) -> bool:
    """Whether there are two models to compare, and a noise."""
    return gallery is not None and len(gallery.models) > 1 and bool(gallery.noises)


def page(gallery: Gallery, title: str = "Blind vote") -> str:
    """The vote as the HTML text of a page that loads nothing, for a frame in another page.

    The same gallery gives the same text. Votes are kept in the browser under the gallery's study.
    """
    return environment().get_template("vote_page.html.j2").render(title=title, pictures=gallery.as_data())
