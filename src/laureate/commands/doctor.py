"""`laureate doctor`: check an image folder and print what to fix."""

from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.dataset import user_folder
from laureate.dataset.folder_check import examine, table, tokens_by


def run(path: str, file: str = "params.yaml") -> None:
    """Print the findings of a folder as a table; limits are those of the parameters `file`, if it exists.

    Raises LaureateError if one of them is serious, or if `path` is not a folder with pictures.
    """
    from laureate.config import params

    loaded = params.load(file) if Path(file).is_file() else params.Params()
    folder, wanted = Path(path), loaded.prepare
    pictures = user_folder.pictures_in(folder)
    findings = list(examine(folder, wanted.near, loaded.crawl.megapixels, tokens_by(wanted.clip)))
    print(table(findings) if findings else f"{len(pictures)} pictures, nothing found")
    serious = sum(finding.serious for finding in findings)
    if serious:
        raise LaureateError(
            f"{folder}: {serious} findings must be fixed first, {len(findings) - serious} are warnings"
        )
