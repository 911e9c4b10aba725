"""Folders of pictures compared: which prompts and seeds they share, and which differ. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from laureate.comparison import folder_scores, results_table
from laureate.comparison.folder_scores import CATALOG, KEYS, Scored, Settings
from laureate.comparison.paired_tests import LEVEL
from laureate.evaluation import scores, scoring
from laureate.evaluation.feature_stream import Pictures

COUNTS = ("n", "n_clusters", "n_reference")
COLUMNS = ("model", "judge", *COUNTS, *(key + end for key in KEYS for end in ("", "_low", "_high")))


@dataclass(frozen=True)
class Difference:
    """One model's score less another's, as one judge sees both."""

    judge: str
    score: str
    model: str
    against: str
    role: str  # what the other one is: "first" of the folders named, or "best" by this score and judge
    paired_by: str  # "prompt and seed", "prompt", "seed" or "nothing"
    n: int  # pictures of the model that were compared
    value: float
    low: float  # of the 95 % interval
    high: float
    p: float  # of "there is no difference", for this pair alone
    p_holm: float  # the same, corrected for all models held against this one


@dataclass(frozen=True)
class Table:
    """Everything that was found."""

    judges: Sequence[str]  # the first leads
    models: Sequence[str]  # that compete
    rows: Sequence[Mapping[str, Any]]
    differences: Sequence[Difference]

    def of(self, judge: str) -> list[Mapping[str, Any]]:
        """The rows of one judge, the noise floor first."""
        return [row for row in self.rows if row["judge"] == judge]

    def mark(self, judge: str, key: str, model: str) -> str:
        """results_table.BEST or TIED (not told apart from the best), or nothing."""
        others = [d for d in self.differences if (d.judge, d.score, d.role) == (judge, key, "best")]
        tied = {d.model for d in others if d.p_holm > LEVEL}
        if not others or (model not in tied and model != others[0].against):
            return ""
        return results_table.BEST if not tied else results_table.TIED


def common(one: Pictures, other: Pictures) -> tuple[str, list[int], list[int]]:
    """How two sets are compared => (what pairs them, rows of the one, rows of the other).

    By prompt and seed where both sets know them and no pair of them occurs twice; by prompt alone where the
    shared prompts have as many pictures in both, or by seed alone where nothing is known of prompts; else by
    nothing, and all rows are compared.
    """
    known_keys: list[list[tuple[Any, ...]]] = [list(one.keys), list(other.keys)]
    for what, part in (("prompt and seed", slice(0, 2)), ("seed", slice(1, 2)), ("prompt", slice(0, 1))):
        keys = [[key[part] for key in known] for known in known_keys]
        if any(None in key for known in keys for key in known):
            continue
        if what == "seed" and any(prompt is not None for prompt, _ in [*one.keys, *other.keys]):
            continue  # the same seed of another prompt is not the same question
        counts = [Counter(known) for known in keys]
        if what != "prompt" and max(max(count.values()) for count in counts) > 1:
            continue
        shared = {key for key in counts[0] if counts[0][key] == counts[1][key]}
        rows = [[row for row, key in enumerate(known) if key in shared] for known in keys]
        if len(shared) >= 2:
            place = {key: index for index, key in enumerate(dict.fromkeys(keys[0]))}
            ordered = [
                sorted(part, key=lambda row, known=known: place[known[row]])  # type: ignore[misc]
                for part, known in zip(rows, keys, strict=True)
            ]
            return what, ordered[0], ordered[1]
    return "nothing", list(range(len(one.keys))), list(range(len(other.keys)))


def compare(
    models: Sequence[Pictures],
    references: Pictures,
    text_judges: Sequence[str],
    settings: Settings,
    beside: Sequence[Pictures] = (),
) -> Table:
    """Score every model as every judge sees it, and say which differ => the table.

    `text_judges`: those that read text (CLIP); the first judge of `references.seen` leads;
    `beside`: sets that are scored too, but do not compete.
    """
    judges = list(references.seen)
    rows: list[dict[str, Any]] = []
    differences: list[Difference] = []
    for judge in judges:
        scored = {m.name: Scored(m, references, judge, judge in text_judges, settings) for m in models}
        rows.append(folder_scores.noise_floor(next(iter(scored.values())), references, settings.seed))
        others = [Scored(m, references, judge, judge in text_judges, settings) for m in beside]
        rows += [folder_scores.row(s, references) for s in (*others, *scored.values())]
        pairs = _Pairs(scored, references, judge in text_judges, settings)
        for key in KEYS:
            differences += _tests(judge, key, rows, scored, pairs, settings)
    return Table(judges, [model.name for model in models], rows, differences)


class _Pairs:
    """Two models brought to what they share, each pair made once."""

    def __init__(
        self, scored: Mapping[str, Scored], references: Pictures, has_text: bool, settings: Settings
    ) -> None:
        self.scored, self.references, self.has_text, self.settings = scored, references, has_text, settings
        self.made: dict[tuple[str, str], tuple[str, Scored, Scored]] = {}

    def of(self, model: str, against: str) -> tuple[str, Scored, Scored]:
        """(what pairs them, one, other), both over the shared pictures where something does."""
        if (model, against) not in self.made:
            one, other = self.scored[model], self.scored[against]
            what, rows, others = common(one.pictures, other.pictures)
            if what != "nothing":
                clusters = one.pictures.only(rows).clusters
                one, other = (self._only(s, part, clusters) for s, part in ((one, rows), (other, others)))
            self.made[model, against] = what, one, other
        return self.made[model, against]

    def _only(self, scored: Scored, rows: list[int], clusters: Sequence[Any]) -> Scored:
        if rows == list(range(len(scored.pictures.keys))) and list(clusters) == scored.pictures.clusters:
            return scored
        part = scored.pictures.only(rows)
        return Scored(part, self.references, scored.judge, self.has_text, self.settings, clusters)


def _tests(
    judge: str, key: str, rows: Sequence[Mapping[str, Any]], scored: Mapping[str, Scored], pairs: _Pairs,
    settings: Settings,
) -> list[Difference]:  # fmt: skip
    """Every model against the first and against the best of one score; p-values corrected in each family."""
    value = {r["model"]: r[key] for r in rows if r["judge"] == judge and r["model"] in scored}
    names = [name for name in scored if key in scored[name].scores and value[name] is not None]
    if len(names) < 2:
        return []
    sign = 1 if CATALOG[key].direction == "lower" else -1
    best = min(names, key=lambda name: sign * value[name])
    found: list[Difference] = []
    for role, against in (("first", next(iter(scored))), ("best", best)):
        if against not in names:
            continue
        family = []
        for name in names:
            if name == against:
                continue
            what, one, other = pairs.of(name, against)
            if key not in one.scores or key not in other.scores:
                continue
            estimate, p = folder_scores.difference(one, other, key, what != "nothing", settings)
            numbers = (scoring.rounded(float(v)) for v in (estimate.value, estimate.low, estimate.high, p, p))
            family.append(Difference(judge, key, name, against, role, what, len(one.pictures.keys), *numbers))
        corrected = scores.holm([d.p for d in family])
        found += [replace(d, p_holm=scoring.rounded(p)) for d, p in zip(family, corrected, strict=True)]
    return found


def as_json(table: Table) -> dict[str, Any]:
    """The table as plain values."""
    return {
        "judges": list(table.judges),
        "models": list(table.models),
        "rows": [dict(row) for row in table.rows],
        "differences": [{k: _finite(v) for k, v in asdict(d).items()} for d in table.differences],
    }


def shown(row: Mapping[str, Any], key: str) -> tuple[str, str]:
    """Value and interval as text; see `results_table.format_interval`."""
    value = row[key]
    if value is None:
        return "–", ""
    low, high = (value if row[f"{key}{end}"] is None else row[f"{key}{end}"] for end in ("_low", "_high"))
    text, interval = results_table.format_interval(value, low, high, CATALOG[key].percent)
    return text, interval if row[f"{key}_low"] is not None else ""


def to_markdown(table: Table) -> str:
    """One table per judge: value and 95 % interval; bold where best, ≈ where not told apart from the best."""
    text = []
    for judge in table.judges:
        rows = table.of(judge)
        keys = [key for key in KEYS if any(row[key] is not None for row in rows)]
        heads = [f"{CATALOG[key].label} {CATALOG[key].arrow}" for key in keys]
        text += [f"{judge}:", "", f"| model | n | {' | '.join(heads)} |", "|---|--:|" + "--:|" * len(keys)]
        for row in rows:
            cells = []
            for key in keys:
                value, interval = shown(row, key)
                mark = table.mark(judge, key, str(row["model"]))
                value = {results_table.BEST: f"**{value}**", results_table.TIED: f"≈ {value}"}.get(
                    mark, value
                )
                cells.append(f"{value} ({interval})" if interval else value)
            text.append(f"| {row['model']} | {row['n']} | {' | '.join(cells)} |")
        text.append("")
    return "\n".join(text)


def _finite(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and value != value else value
