"""What `laureate plan` has counted and measured before, kept in the work folder.

A count depends on the shapes of the networks, the parameters, the code and the versions of the libraries. The
hash of all of them is its name; where one of them changes, it is counted anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from laureate.core.files import write_json
from laureate.core.paths import WORK
from laureate.core.stage_code import code_of_package

FILE = WORK / "plan.json"
LIBRARIES = ("torch", "diffusers", "transformers")
MOST = 1000  # values that are kept; the oldest make room


class PlanCache:
    """Values by what they depend on. `file`: where they are kept; None: for the life of this object."""

    def __init__(self, file: Path | None = None) -> None:
        self.file, self._values, self._changed = file, _values(file), False

    def value(self, kind: str, depends: Any, make: Callable[[], Any]) -> Any:
        """The value of `kind` for `depends`, which JSON must be able to hold; made if it is not known."""
        text = json.dumps([kind, depends, self._versions], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._values:
            self._values[key] = make()
            self._changed = True
        return self._values[key]

    def save(self) -> None:
        """Write the values that were made. Raises OSError where the file cannot be written."""
        if self.file is not None and self._changed:
            write_json(self.file, list(self._values.items())[-MOST:])
            self._changed = False

    @cached_property
    def _versions(self) -> list[str]:
        """The versions of the libraries and a hash of this package's code."""
        return [*(metadata.version(name) for name in LIBRARIES), code_of_package()]


def _values(file: Path | None) -> dict[str, Any]:
    """The values of a file; none where there is none that can be read, as they can be made again."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file else {}
    except (OSError, ValueError, TypeError):
        return {}
