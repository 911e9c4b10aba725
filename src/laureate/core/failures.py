"""The one door for errors: any exception of a command becomes a sentence on stderr and an exit status."""

from __future__ import annotations

import os
import platform
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from laureate import __version__
from laureate.core import os_errors
from laureate.core.console import OutputClosed
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.core.paths import WORK
from laureate.core.secrets import redact, without_home

INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM
EXTRAS = {"openai": "images", "fastapi": "serve", "uvicorn": "serve", "starlette": "serve"}
NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)
SMALLER = {  # verb => the parameter that lowers the memory it needs
    "encode": "encode.batch",
    "train": "train.batch",
    "sample": "sample.batch",
    "evaluate": "evaluate.batch",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `kill`, a batch system or a container's end sends it: handled as an interrupt is."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in the block, so that what is half-written is removed."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not disturb the cleaning up
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def report(error: BaseException, verb: str, arguments: Sequence[str] = (), debug: bool = False) -> int:
    """Print what an exception means, without secrets => the exit status of the process.

    `debug` prints the traceback first. An unexpected error is written to a log file, which is named. Raises
    `error` itself if it is neither an error nor an interrupt.
    """
    with suppress(OutputClosed, LaureateError):
        sys.stdout.flush()
    if isinstance(error, OutputClosed):
        return error.exit_code
    if not isinstance(error, (Exception, KeyboardInterrupt)):
        raise error
    with suppress(OutputClosed, LaureateError):  # nobody reads stderr
        if debug:
            print(redact("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        text = known(error, verb)
        if text is None:
            text = _unexpected(error, verb, arguments)
        print(f"laureate: {redact(text)}", file=sys.stderr)
        sys.stderr.flush()
    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    return error.exit_code if isinstance(error, LaureateError) else 1


def known(error: BaseException, verb: str) -> str | None:
    """The sentence of an error that a person or the machine caused; None for an error of this program."""
    text = " ".join(str(error).split())
    if isinstance(error, LaureateError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        what = "ended by the signal SIGTERM" if isinstance(error, Terminated) else "interrupted"
        return f"{verb} was {what}; run it again to go on"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(text)):
        cure = f"lower {SMALLER[verb]} in params.yaml" if verb in SMALLER else "close other programs"
        return f"{verb} needs more memory than there is; {cure}, and run it again"
    if isinstance(error, ImportError):
        return _missing_package(error, verb)
    if isinstance(error, OSError):
        return os_errors.sentence(error)
    # safetensors raises an error of its own, whose text holds the number of the system's
    if type(error).__name__ == "SafetensorError" and (code := re.search(r"(?:code: |os error )(\d+)", text)):
        number = int(code[1])
        return os_errors.sentence(OSError(number, os.strerror(number)))
    return None


def _missing_package(error: ImportError, verb: str) -> str | None:
    """The sentence for a package that is not installed; None if a module of this program is missing."""
    package = (error.name or "").partition(".")[0]
    if not package or package in ("laureate", "crawler") or package in sys.modules:
        return None
    wanted = f"'laureate[{EXTRAS[package]}]'" if package in EXTRAS else package
    return f"{verb} needs the package {package}, which is not installed: pip install {wanted}"


def _unexpected(error: BaseException, verb: str, arguments: Sequence[str]) -> str:
    """Write the log of an error of this program => the sentence that names it."""
    kind = type(error).__name__
    what = " ".join(str(error).split())[:200]
    found = f"{kind}: {what}" if what else kind
    log = write_log(error, arguments)
    where = f"see {log} and report it with that file" if log else "run `laureate --debug` to see where"
    return f"{verb} stopped at an unexpected error, a fault of laureate ({found}); {where}"


def write_log(error: BaseException, arguments: Sequence[str]) -> str | None:
    """Write the traceback without secrets and without the home folder => the file; None if none can be.

    The file is in .work/errors of a study, or in the system's folder for temporary files.
    """
    text = "\n".join([
        f"laureate {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"laureate {' '.join(arguments)}",
        "",
        "".join(traceback.format_exception(error)),
    ])  # fmt: skip
    name = f"laureate-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    folders = [WORK / "errors"] if WORK.is_dir() or Path("params.yaml").is_file() else []
    with suppress(OSError):
        folders.append(Path(tempfile.gettempdir()))
    for folder in folders:
        with suppress(OSError):
            write_text(folder / name, without_home(redact(text)))
            return without_home(str(folder / name))
    return None
