"""`laureate score`: the table for any folders of pictures, without a study.

    laureate score --reference DIR NAME=DIR NAME=DIR …

Works in any folder. Needs no params.yaml; where there is one of this project, its judges look too.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laureate.core.errors import LaureateError
from laureate.core.files import write_json, write_text
from laureate.core.progress import progress
from laureate.dataset import user_folder
from laureate.formats import generated_folder
from laureate.formats.generated_folder import Entry

if TYPE_CHECKING:
    from laureate.comparison.folder_table import Table
    from laureate.config.params import Evaluate, Judge
    from laureate.evaluation.feature_stream import Pictures

LEADING = "imagenet"
REFERENCES = "references"


def run(
    reference: str,
    folders: Sequence[str],
    by: str | None = None,
    beside: Sequence[str] = (),
    judge: Sequence[str] = (),
    html: str | None = None,
    json_file: str | None = None,
    csv_file: str | None = None,
    fail_if: Sequence[str] = (),
    file: str = "params.yaml",
) -> None:
    """Score `folders` ("NAME=DIR", or "DIR") against the pictures in `reference`, print and write the table.

    `by`: a setting in the metadata that splits the one folder into models; `beside`: folders that are shown
    but do not compete, such as other real pictures; `judge`: "NAME" or "KIND=SOURCE",
    instead of all judges that are there. Raises LaureateError for what cannot be scored, and, after all is
    printed and written, where a condition of `fail_if` holds.
    """
    named = parse(reference, [*folders, *beside])
    shown_only = list(parse(reference, beside))[1:]
    files = {name: user_folder.pictures_in(folder) for name, folder in named.items()}
    evaluate, notes = parameters(file)
    about, absent = judges_here(judge, evaluate)
    notes += absent

    from laureate.comparison import folder_advice, folder_table  # late: a wrong folder has stopped us by now
    from laureate.comparison.folder_scores import Settings
    from laureate.evaluation import feature_stream
    from laureate.evaluation.judges import cached_judges, loading

    folder_advice.check_conditions(fail_if, list(about))
    sets, left_out = {}, {}
    for name, folder in named.items():
        sets[name], left_out[name] = generated_folder.read(folder, files[name])
    if by is not None:
        one = {name: entries for name, entries in sets.items() if name not in (REFERENCES, *shown_only)}
        kept = {name: sets[name] for name in shown_only}
        sets = {REFERENCES: sets[REFERENCES], **split(one, by), **kept}
    side, sentence = feature_stream.common_side([entry for entries in sets.values() for entry in entries])
    notes += [sentence] if sentence else []
    judges = {name: loading.load(one, evaluate.batch) for name, one in about.items()}
    text_judges = [name for name, one in about.items() if one.kind == "clip"]
    found, logs = {}, {}
    for name, entries in sets.items():
        shown = progress(entries, len(entries), name)
        texts = text_judges if name != REFERENCES else ()
        found[name], logs[name] = feature_stream.extract_set(
            name, shown, judges, texts, side, left_out.get(name, ())
        )
        notes += feature_stream.remarks(name, logs[name], name == REFERENCES)
    models = [pictures for name, pictures in found.items() if name not in (REFERENCES, *shown_only)]
    others = [found[name] for name in shown_only]
    notes += [*feature_stream.shared_pictures(logs), *pairing(models)]
    settings = Settings(evaluate.bootstrap, evaluate.seed, evaluate.neighbours)
    table = folder_table.compare(models, found[REFERENCES], text_judges, settings, others)
    how = {name: cached_judges.PREPROCESSING[one.kind][0] for name, one in about.items()}
    report(table, notes, how, html, json_file, csv_file)
    broken = folder_advice.failures(table, fail_if)
    if broken:
        raise LaureateError("; ".join(broken))


def parse(reference: str, folders: Sequence[str]) -> dict[str, Path]:
    """Name => folder, the references first. Raises LaureateError for a name or a folder that occurs twice."""
    named = {REFERENCES: Path(reference)}
    for text in folders:
        name, sign, path = text.partition("=")
        name, path = (name, path) if sign else (Path(text).name, text)
        if not name or not path:
            raise LaureateError(f"{text!r} is not NAME=DIR")
        if name in named:
            raise LaureateError(f"the name {name} is there twice: give each folder its own, NAME=DIR")
        named[name] = Path(path)
    places: dict[Path, str] = {}
    for name, folder in named.items():
        other = places.setdefault(folder.resolve(), name)
        if other != name:
            raise LaureateError(f"{other} and {name} are one folder, {folder}: there is nothing to compare")
    return named


def parameters(file: str) -> tuple[Evaluate, list[str]]:
    """The section evaluate of `file`, or its defaults without judges where `file` is none of this project.

    A params.yaml of something else is left alone, and a sentence says so.
    """
    from laureate.config import params

    if Path(file).is_file():
        try:
            return params.load(file).evaluate, []
        except LaureateError as error:
            note = f"{file} is left alone, so its judges do not look: {error}."
            return params.Evaluate(judges={}), [note]
    return params.Evaluate(judges={}), []


def judges_here(wanted: Sequence[str], evaluate: Evaluate) -> tuple[dict[str, Judge], list[str]]:
    """Name => judge, the leading one first, and a sentence for each of `evaluate` that is not there.

    Raises LaureateError for a judge of `wanted` that is not known or not there.
    """
    from typing import get_args

    from laureate.config import params, schema
    from laureate.evaluation.judges import imagenet, weights

    known = {LEADING: params.Judge(kind="imagenet", source=imagenet.SOURCE), **evaluate.judges}
    notes: list[str] = []
    kinds = get_args(schema.JudgeKind)
    chosen: dict[str, Judge] = {}
    for text in wanted:
        kind, sign, source = text.partition("=")
        if sign and kind in kinds and source:
            chosen[kind] = params.Judge.model_validate({"kind": kind, "source": source})
        elif not sign and text in known:
            chosen[text] = known[text]
        else:
            raise LaureateError(
                f"--judge {text!r}: write KIND=SOURCE, where KIND is one of {', '.join(kinds)}, or one of "
                f"{', '.join(known)}"
            )
    found: dict[str, Judge] = {}
    for name, one in (chosen or known).items():
        try:
            weights.find(one.source, name, one.sha256)
            found[name] = one
        except LaureateError as error:
            if chosen or name == LEADING:
                raise
            notes.append(f"The judge {name} does not look: {error}.")
    return found, notes


def split(models: Mapping[str, list[Entry]], by: str) -> Mapping[str, list[Entry]]:
    """The one folder in cells by a setting. Raises LaureateError where that is not possible."""
    if len(models) != 1:
        raise LaureateError(f"--by {by} splits one folder, but {len(models)} are named: name one")
    ((name, entries),) = models.items()
    cells = generated_folder.cells(entries, by)
    if len(cells) < 2:
        axes = generated_folder.axes(entries)
        hint = f"settings that differ there are {', '.join(axes)}" if axes else "no setting differs there"
        count = "one value" if cells else "no value"
        raise LaureateError(f"--by {by} finds {count} of it in the metadata of {name}: {hint}")
    return cells


def pairing(models: Sequence[Pictures]) -> list[str]:
    """How every model is compared with the first, a sentence per way."""
    from laureate.comparison.folder_table import common

    ways: dict[str, list[str]] = {}
    for model in models[1:]:
        what, rows, _ = common(model, models[0])
        ways.setdefault(what, []).append(f"{model.name} ({len(rows)} pictures)")
    found = []
    for what, names in ways.items():
        if what == "nothing":
            found.append(
                f"Nothing pairs {', '.join(names)} with {models[0].name}: their metadata and names share no "
                "two prompts and seeds, or name one twice. They are compared unpaired, which tells less."
            )
        else:
            found.append(f"Compared with {models[0].name} by {what}: {', '.join(names)}.")
    return found


def report(
    table: Table,
    notes: Sequence[str],
    judges: Mapping[str, str],
    html: str | None,
    json_file: str | None,
    csv_file: str | None,
) -> None:
    """Print the table, the advice and the notes, and write the files that are asked for.

    `judges`: name => its pre-processing.
    """
    from laureate.comparison import folder_advice, folder_table
    from laureate.reporting import score_page

    advice = folder_advice.advise(table)
    print(folder_table.to_markdown(table))
    print("\n".join([*advice, "", *notes]).rstrip())
    if json_file:
        found = folder_table.as_json(table)
        write_json(
            json_file, {**found, "advice": advice, "notes": list(notes), "preprocessing": dict(judges)}
        )
    if csv_file:
        text = io.StringIO()
        writer = csv.DictWriter(text, folder_table.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.rows)
        write_text(csv_file, text.getvalue())
    if html:
        write_text(html, score_page.render(table, advice, notes, judges))
    for path in filter(None, (json_file, csv_file, html)):
        print(f"{path} written", file=sys.stderr)
