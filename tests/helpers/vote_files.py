"""Votes as the report page's blind vote saves them."""

from collections.abc import Sequence

from laureate.formats.vote_file import COLUMNS, Vote


def as_csv(votes: Sequence[Vote]) -> str:
    """The text of the file."""
    lines = [",".join(str(getattr(vote, name)) for name in COLUMNS) for vote in votes]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"
