"""Hold the results of this working tree against those of a git revision: advice and scores."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADVICE, COMPARISON, MACHINES
from laureate.core.text_files import read_text
from laureate.evaluation.score_catalog import SCORES

if TYPE_CHECKING:
    import pandas as pd

LITTLE = 0.05  # share of an interval
Rows = dict[str, dict[str, results_table.Value]]  # model => its metrics, in the order of the table
TRACKED = ("metrics", "dvc.lock")  # results that are in git


@dataclass(frozen=True)
class Change:
    """One score of one model, before and now."""

    model: str
    score: str  # the key
    share: float  # change as a share of the width of the interval before; infinite where that has no width
    beyond: bool  # the new value lies outside the interval before


@dataclass(frozen=True)
class Result:
    """What a study came to, as its files say."""

    rows: Rows
    advice: dict[str, Any]  # content of adviser.json
    parameters: dict[str, Any]  # content of params.yaml
    machines: list[str]  # what trained the adapters, without repetitions


def run(params: Params, file: str, rev: str, restore: bool) -> int:
    """Print one sentence, a table of changes, the machines and the parameters that differ => exit status:
    0 for the same advice and no score outside its interval in `rev`, 1 otherwise.

    `restore`: give the tracked results the content again that they have in `rev`. Raises LaureateError where
    the revision or results of either side are missing.
    """
    now, before = here(params, file), at(rev, file)
    found, missing = changes(before.rows, now.rows), only_one(before.rows, now.rows)
    print(sentence(before, now, found, missing))
    print("\n" + table(found))
    commit = git("rev-parse", "--short", f"{rev}^{{commit}}").strip()
    name = rev if rev.startswith(commit) else f"{rev} ({commit})"
    print(f"{name}: {'; '.join(before.machines) or 'the machine is not recorded'}")
    print(f"here: {'; '.join(now.machines) or 'the machine is not recorded'}")
    other = differing(before.parameters, now.parameters)
    if other:
        print(f"Parameters that differ: {', '.join(other)}")
    if restore:
        git("restore", f"--source={rev}", "--worktree", "--", *TRACKED)
        print(f"{' and '.join(TRACKED)} are as in {rev} again.")
    return 0 if replicated(before, now, found, missing) else 1


def here(params: Params, file: str) -> Result:
    """The results of this working tree."""
    import yaml

    parameters = yaml.safe_load(read_text(file))
    advice = _advice(read_text(ADVICE, "run `laureate compare` first"), str(ADVICE))
    machines = [MACHINES / f"{name}.json" for name in params.adapters]
    texts = [read_text(path) for path in machines if path.is_file()]
    return Result(rows_of(results_table.read_csv(COMPARISON)), advice, parameters, described(texts))


def _advice(text: str, where: str) -> dict[str, Any]:
    """The content of adviser.json. Raises LaureateError naming `where` if it is damaged."""
    try:
        found = dict(json.loads(text))
    except (ValueError, TypeError):
        found = {}
    if "rank" not in found:
        raise LaureateError(f"{where} is damaged; run `laureate compare` again")
    return found


def at(rev: str, file: str) -> Result:
    """The results in a git revision. Raises LaureateError naming revision and file where there are none."""
    import yaml

    show = lambda path: git("show", f"{rev}:./{path}")  # noqa: E731 - paths are relative to this folder
    listed = git("ls-tree", "--name-only", rev, f"{MACHINES}/").split()
    return Result(
        rows_of(results_table.from_csv(show(COMPARISON), f"{rev}:{COMPARISON}")),
        _advice(show(ADVICE), f"{rev}:{ADVICE}"),
        yaml.safe_load(show(file)),
        described([show(path) for path in listed]),
    )


def rows_of(table: pd.DataFrame) -> Rows:
    """A table as values."""
    return {str(model): results_table.metrics_of(table, str(model)) for model in table.index}


def git(*arguments: str) -> str:
    """What a git command prints. Raises LaureateError with its message."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LaureateError("git is not installed; replicate compares with a git revision") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("fatal: ")
        raise LaureateError(f"git {arguments[0]}: {reason}; --rev must name a commit that holds results")
    return done.stdout


def described(machines: Sequence[str]) -> list[str]:
    """Contents of metrics/machines/NAME.json => each machine in words, once."""
    found = []
    for text in machines:
        try:
            machine = json.loads(text)
            where = ", ".join(machine["cards"]) or machine["processor"] or machine["architecture"]
            found.append(f"{where}, {machine['precision']}, torch {machine['torch']}")
        except (ValueError, KeyError, TypeError):
            found.append("a machine whose record is damaged")
    return list(dict.fromkeys(found))


def changes(before: Rows, now: Rows) -> list[Change]:
    """Every score that both sides have a value for, model by model in the order of the table now."""
    found = []
    for model, row in now.items():
        old = before.get(model, {})
        for score in SCORES:
            if score.key not in old or score.key not in row:
                continue
            value, low, high = (float(str(old[score.key + end])) for end in ("", "_low", "_high"))
            new = float(str(row[score.key]))
            change = new - value
            share = change / (high - low) if high > low else (inf if change else 0.0)
            found.append(Change(model, score.key, share, change != 0 and not low <= new <= high))
    return found


def only_one(before: Rows, now: Rows) -> list[str]:
    """Names of models that only one side has."""
    return sorted(set(before) ^ set(now))


def replicated(before: Result, now: Result, found: Sequence[Change], missing: Sequence[str]) -> bool:
    """The same models, the same advice, and no score outside the interval that it had."""
    same = before.advice["rank"] == now.advice["rank"]
    return same and not missing and not any(change.beyond for change in found)


def sentence(before: Result, now: Result, found: Sequence[Change], missing: Sequence[str]) -> str:
    """The outcome in one sentence."""
    old, new = (_rank(result.advice["rank"]) for result in (before, now))
    parts = [f"the advice is the same ({new})" if old == new else f"the advice is {new} instead of {old}"]
    beyond, moved = sum(change.beyond for change in found), [c for c in found if c.share]
    parts.append(f"{beyond or 'none'} of {len(found)} scores {_lie(beyond)} outside the interval before")
    if moved:
        little = sum(abs(change.share) < LITTLE for change in found)
        furthest = max(moved, key=lambda change: abs(change.share))
        label = next(score.label for score in SCORES if score.key == furthest.score)
        far = f"{abs(furthest.share):.0%}".replace("%", " %") if furthest.share != inf else "from no width"
        parts.append(
            f"{little} moved by less than {LITTLE:.0%} of it".replace("%", " %")
            + f", the furthest, {label} of {results_table.title(furthest.model).lower()}, by {far}"
        )
    else:
        parts.append("no score has changed")
    if missing:
        parts.append(f"only one side has {', '.join(missing)}")
    start = "Replicated" if replicated(before, now, found, missing) else "Not replicated"
    return f"{start}: {'; '.join(parts)}."


def table(found: Sequence[Change]) -> str:
    """Scores by models: the change as a share of the interval's width; ! where it left the interval."""
    models = list(dict.fromkeys(change.model for change in found))
    cells = {(change.score, change.model): _cell(change) for change in found}
    rows = [["change / interval", *models]]
    for score in SCORES:
        if any((score.key, model) in cells for model in models):
            rows.append([score.label, *(cells.get((score.key, model), "–") for model in models)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(models) + 1)]
    lines = []
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([first.strip().ljust(widths[0]), *others]).rstrip() + "\n")
    return "".join(lines)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`train.steps 240 → 3` for every value that differs, but the selected row."""
    old, new = _flat(before), _flat(now)
    keys = [key for key in dict.fromkeys([*old, *new]) if key != "selected"]
    gone = "–"
    changed = [(key, old.get(key, gone), new.get(key, gone)) for key in keys]
    return [f"{key} {was} → {value}" for key, was, value in changed if was != value]


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _rank(rank: int | None) -> str:
    return "no rank" if rank is None else f"rank {rank}"


def _lie(count: int) -> str:
    return "lies" if count < 2 else "lie"


def _cell(change: Change) -> str:
    text = "∞" if change.share == inf else f"{100 * change.share:+.0f} %".replace("-", "−")
    text = "0 %" if text in ("+0 %", "−0 %") else text
    return text + " !" * change.beyond
