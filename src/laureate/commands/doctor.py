"""laureate doctor: check an image folder and print what to correct, or write a mended copy."""

from collections.abc import Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.paths import in_home
from laureate.core.progress import progress
from laureate.dataset import folder_check, layouts, mended_copy, user_folder


def run(path: str, file: str = "params.yaml", fix: str | None = None) -> None:
    """Print what a folder is and its findings; limits are those of the parameters `file`, if it exists.

    `fix`: a new folder for a mended copy; the findings that are left are those of the copy. Raises
    LaureateError when one of them is serious, when `path` is not a folder with pictures, and when `fix`
    exists.
    """
    from laureate.config import params

    loaded = params.load(file) if Path(file).is_file() else params.Params()
    folder, settings = in_home(path), loaded.prepare
    there = user_folder.listed(folder, settings.captions)
    found = user_folder.captions_of(there, settings.embedded_prompts)
    print(layouts.summary(there, found))
    if fix is not None:
        megapixels = loaded.crawl.megapixels
        changes = mended_copy.write(there, found, in_home(fix), settings.near, megapixels)
        print("\n".join([f"{fix}: {len(changes)} corrections", *(f"  {change}" for change in changes)]))
        folder = in_home(fix)
        there = user_folder.listed(folder)
        found = user_folder.captions_of(there)
    findings = folder_check.check_listed(
        there,
        found,
        settings.near,
        loaded.crawl.megapixels,
        folder_check.token_counter(settings.clip),
        lambda pictures: progress(pictures, len(pictures), "pictures"),
    )
    print(table(findings) if findings else f"{len(there.pictures)} pictures, no problem found")
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
