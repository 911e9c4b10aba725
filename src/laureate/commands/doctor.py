"""laureate doctor: check an image folder and print what to correct."""

from collections.abc import Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.progress import progress
from laureate.dataset import folder_check, user_folder


def run(path: str, file: str = "params.yaml") -> None:
    """Print the findings of a folder as a table; limits are those of the parameters `file`, if it exists.

    Raises LaureateError when one of them is serious, or when `path` is not a folder with pictures.
    """
    from laureate.config import params

    loaded = params.load(file) if Path(file).is_file() else params.Params()
    folder, settings = Path(path), loaded.prepare
    pictures = user_folder.pictures_in(folder)
    findings = folder_check.check(
        folder,
        settings.near,
        loaded.crawl.megapixels,
        folder_check.token_counter(settings.clip),
        lambda pictures: progress(pictures, len(pictures), "pictures"),
    )
    print(table(findings) if findings else f"{len(pictures)} pictures, no problem found")
    serious = sum(finding.serious for finding in findings)
    if serious:
        raise LaureateError(
            f"{folder} has {serious} problems to correct (marked !) and {len(findings) - serious} that "
            "`laureate prepare` corrects"
        )


def table(findings: Sequence[folder_check.Finding]) -> str:
    """The findings in columns; serious ones are marked with `!`."""
    rows = [("", "where", "problem", "what to do")]
    rows += [("!" if f.serious else " ", f.where, f.problem, f.remedy) for f in findings]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )
