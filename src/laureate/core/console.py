"""The terminal: unknown characters replaced, closed pipes told from errors, secrets removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from laureate.core.errors import LaureateError
from laureate.core.secrets import redact


class OutputClosed(BaseException):
    """Nobody reads standard output or standard error any more, as in `laureate plan | head -1`."""

    exit_code = 141  # 128 + SIGPIPE, what a shell reports for a program that such a write ends


class Guarded:
    """A text stream that hides secrets. Raises OutputClosed for a closed pipe, LaureateError for others.

    After the first error it drops everything, so that the end of the process is quiet.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name, self._dropped = stream, name, False

    def write(self, text: str) -> int:
        """Write `text` without secrets => the number of its characters."""
        if not self._dropped:
            try:
                self._stream.write(redact(text))
            except OSError as error:
                self._fail(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write every line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what is buffered."""
        if not self._dropped:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fail(self, error: OSError) -> None:
        self._dropped = True
        with suppress(OSError, ValueError):  # what is buffered goes nowhere, also at the interpreter's exit
            empty = os.open(os.devnull, os.O_WRONLY)
            os.dup2(empty, self._stream.fileno())
            os.close(empty)
        if isinstance(error, BrokenPipeError):
            raise OutputClosed from None
        raise LaureateError(f"{self._name} cannot be written: {error.strerror or error}") from None


@contextmanager
def guarded() -> Iterator[None]:
    """Guard standard output and standard error in the block.

    Characters that the terminal's encoding does not have are replaced.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    opened: list[TextIO] = []
    guards: list[Any] = []
    for stream, name in zip(before, ("standard output", "standard error"), strict=True):
        if stream is None:  # closed by the shell: `>&-`
            opened.append(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
            stream = opened[-1]
        guards.append(Guarded(stream, name))
    sys.stdout, sys.stderr = guards
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for file in opened:
            file.close()
