"""Keys of results that are kept between runs: the SHA-256 of what they depend on, the code included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laureate.core.files import sha256_file
from laureate.core.system_files import has_system_part

PACKAGE = Path(__file__).resolve().parents[1]  # the code that runs, whatever the working folder holds


def key_of(content: Any) -> str:
    """SHA-256 of a value as JSON, in hexadecimal: equal values, equal keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def code_of_stage(stage: str, package: Path = PACKAGE) -> str:
    """SHA-256 over the files of a package that its project's dvc.yaml lists as dependencies of a stage.

    DVC and the cache then agree on what makes a result stale. The dvc.yaml is the one beside src/, where the
    package lies, not that of the working folder: an experiment of DVC runs in a copy of the project, but with
    the package that is installed. Without a dvc.yaml there (an installed wheel): over the whole package.
    """
    import yaml

    listing, places = package.parents[1] / "dvc.yaml", [package]
    if package.parent.name == "src" and listing.is_file():
        deps = yaml.safe_load(listing.read_text(encoding="utf-8"))["stages"][stage]["deps"]
        inside = f"src/{package.name}/"
        places = [package / dep.removeprefix(inside) for dep in deps if dep.startswith(inside)]
    return _code_of(places, package)


def code_of_package(package: Path = PACKAGE) -> str:
    """SHA-256 over all files of a package."""
    return _code_of([package], package)


def _code_of(places: Sequence[Path], package: Path) -> str:
    """SHA-256 over the names and contents of files, and of those in folders, of a package."""
    files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    return key_of({
        f"src/{file.relative_to(package.parent).as_posix()}": sha256_file(file)
        for file in files
        if file.is_file() and not has_system_part(file.relative_to(package))
    })  # fmt: skip
