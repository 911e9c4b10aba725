"""Write a summary of logs of `fuzzed_readers.py` into docs/quality.md, as `fuzz_log.py LOG...` does."""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "quality.md"
MARKS = ("<!-- fuzz: written by `python tests/helpers/fuzz_log.py LOG` -->", "<!-- /fuzz -->")
LINE = re.compile(
    r"(?P<name>.+): (?P<inputs>\d+) inputs, (?:(?P<refused>\d+) refused, none failed|FAILED.*), \d+ s"
)


def read(log: str) -> dict[str, tuple[int, int | None]]:
    """Reader => number of inputs and of refused ones, None where one failed; of two runs the later."""
    found = (LINE.fullmatch(line) for line in log.splitlines())
    return {
        line["name"]: (int(line["inputs"]), None if line["refused"] is None else int(line["refused"]))
        for line in found
        if line
    }


def table(results: dict[str, tuple[int, int | None]]) -> str:
    """The results as Markdown, with a sentence that sums them up."""
    failed = [name for name, (_, refused) in results.items() if refused is None]
    total = sum(inputs for inputs, _ in results.values())
    outcome = f"{', '.join(failed)} failed" if failed else "none ended in another error than the promised one"
    rows = [f"| {name} | {inputs:,} | {'failed' if refused is None else f'{refused:,}'} |"
            for name, (inputs, refused) in results.items()]  # fmt: skip
    return "\n".join([
        f"{len(results)} readers were given {total:,} inputs; {outcome}.", "",
        "| reader | inputs | refused |", "|---|---|---|", *rows,
    ])  # fmt: skip


def written(page: str, log: str) -> str:
    """The page with the table of a log between its marks."""
    before, begin, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise ValueError(f"the page has no {MARKS[0]}")
    return f"{before}{begin}\n{table(read(log))}\n{end}{after}"


if __name__ == "__main__":
    logs = "".join(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8"), logs), encoding="utf-8")
