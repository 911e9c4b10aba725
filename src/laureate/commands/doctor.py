"""laureate doctor: check an image folder and print what to mend."""

from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.dataset import user_folder
from laureate.dataset.folder_check import examine, table, tokens_by


def run(path: str, file: str = "params.yaml") -> None:
    """Print the findings of a folder as a table; limits are those of the parameters `file`, if it is there.

    Raises LaureateError when there is a serious one, or when `path` is no folder with pictures.
    """
    from laureate.config import params

    loaded = params.load(file) if Path(file).is_file() else params.Params()
    folder, wanted = Path(path), loaded.prepare
    pictures = user_folder.pictures_in(folder)
    found = list(examine(folder, wanted.near, loaded.crawl.megapixels, tokens_by(wanted.clip)))
    print(table(found) if found else f"{len(pictures)} pictures, nothing found")
    serious = sum(finding.serious for finding in found)
    if serious:
        raise LaureateError(
            f"{serious} things in {folder} must be put right first, {len(found) - serious} need not"
        )
