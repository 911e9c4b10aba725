"""One finding of the folder check."""

from collections.abc import Callable
from dataclasses import dataclass

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Finding:
    """One problem in one place; `laureate prepare` corrects on its own what is not `serious`."""

    where: str  # a file, or a line of a table
    problem: str
    remedy: str
    serious: bool = True
