"""`laureate study`: run every stage that is out of date, print the results and what git has in their place.

Where nothing has changed since the last time, DVC is not started.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from laureate.commands import fetch, replicate, up_to_date
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text

TARGETS = ("report", "select")
TABLE, REPORT = Path("metrics/comparison.md"), Path("metrics/report/index.html")
MARKUP = re.compile(r"(?P<open> <sub>)|(?P<close></sub>)|\*\*")


def run(params: Params, file: str) -> int:
    """Fetch the base, run the stages, print the results => the exit status of `dvc repro` if it failed, or 0.

    Raises LaureateError for a base that cannot be had. Whether the results agree with those in git is said,
    and no matter of the exit status: new results may well be others.
    """
    fetch.run(params)
    if up_to_date.is_unchanged():
        print("Data and pipelines are up to date.")
    else:
        started = time.time_ns()
        status = repro()
        if status:
            return status
        up_to_date.note(started)
    print(plain(read_text(TABLE)), end="\n\n")
    try:
        replicate.run(params, file, rev="HEAD", restore=False)
    except LaureateError as error:
        sys.stdout.flush()
        print(f"laureate: {error}", file=sys.stderr)
    print(f"The report: {REPORT.absolute()}")
    return 0


def plain(table: str) -> str:
    """A Markdown table for a terminal: intervals in brackets, no bold type."""
    return MARKUP.sub(lambda found: " (" if found["open"] else ")" if found["close"] else "", table).rstrip(
        "\n"
    )


def repro() -> int:
    """`dvc repro` of the last stages in a process of its own => its exit status.

    An interrupt reaches it from the terminal, SIGTERM is passed on; its end is waited for.
    """
    sys.stdout.flush()
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", *TARGETS], env=os.environ | {"HF_HUB_OFFLINE": "1"}
    )
    try:
        return process.wait()
    except KeyboardInterrupt as error:
        if type(error) is not KeyboardInterrupt:  # SIGTERM
            process.terminate()
        process.wait()
        raise
