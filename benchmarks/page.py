"""page: put the tables of the results into a page of the docs, where it is marked."""

import argparse
import re
from pathlib import Path
from typing import Any

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--page and --results."""
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"), metavar="FILE")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, metavar="DIR")


def run(options: argparse.Namespace) -> None:
    """Write every part between `<!-- results: NAME -->` and `<!-- /results -->` anew, from NAME.json;
    `NAME#TABLE` takes a table that is beside the result's own.

    Raises LaureateError if the page has no marks, or names a result that is not there.
    """
    text = options.page.read_text(encoding="utf-8")
    marks = re.compile(r"(<!-- results: (\S+?)(?:#(\S+))? -->\n).*?(<!-- /results -->)", re.DOTALL)
    if not marks.search(text):
        raise LaureateError(f"{options.page} has no part marked <!-- results: NAME -->")
    parts = marks.sub(lambda found: found[1] + _part(options.results, found[2], found[3]) + found[4], text)
    write_text(options.page, parts)


def _part(results: Path, name: str, beside: str | None) -> str:
    """One table, and under a result's own one where it was measured and with which versions."""
    path = results / f"{name}.json"
    if not path.is_file():
        raise LaureateError(f"there is no result {path}; run `python -m benchmarks {name.split('-')[0]}`")
    result = harness.read(path)
    if beside:
        other = result.get("beside", {}).get(beside)
        if not other:
            raise LaureateError(f"{path} has no table {beside!r} beside its own")
        return harness.table(other["rows"], dict(other["columns"]), markdown=True) + "\n"
    return f"{harness.table(result['rows'], dict(result['columns']), markdown=True)}\n\n{_where(result)}\n"


def _where(result: dict[str, Any]) -> str:
    """The machine, the versions and the limits, as a sentence each."""
    facts = result["machine"]
    place = facts["gpu"] or f"{facts['cpu']}, {facts['cores']} cores ({', '.join(facts['features'])})"
    packages = ", ".join(f"{name} {result['versions'][name]}" for name in ("torch", "diffusers", "peft"))
    limits = "".join(
        f" Square products of {dtype}: {rate / 1e12:.2f} TFLOP/s."
        for dtype, rate in result.get("limits", {}).items()
    )
    repeats = result["options"]["repeats"]
    return f"<sub>{place}; {packages}; {repeats} repeats, load {facts['load']}.{limits}</sub>"
