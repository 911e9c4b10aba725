"""Import single submodules of large packages, and their `__init__` only when something asks for its names.

`from diffusers.models.unets.unet_2d_condition import ...` first imports `diffusers.models.unets`, whose
`__init__` imports every UNet there is. Such a package is made without running its `__init__`: its submodules
are found as usual, and `__init__` runs when somebody asks the package for a name that it does not have yet.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Names = Mapping[str, object]  # attributes that a package has before its `__init__` has run; see From


@dataclass(frozen=True)
class From:
    """An attribute that a submodule has under the same name."""

    submodule: str


class LazyPackage(ModuleType):
    """A package whose `__init__` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """The attribute of a submodule that `names` tells, or the one that `__init__` makes: it runs now.

        Raises AttributeError if it makes none.
        """
        loader = self.__loader__
        assert isinstance(loader, _Loader)
        told = loader.names.get(name)
        if isinstance(told, From):
            return getattr(importlib.import_module(f"{self.__name__}.{told.submodule}"), name)
        if name == "__version__":
            from importlib import metadata

            return metadata.version(self.__name__)
        if not (name.startswith("__") and name != "__all__"):
            if PathFinder.find_spec(f"{self.__name__}.{name}", self.__path__) is not None:
                return importlib.import_module(f"{self.__name__}.{name}")
            loader.open(self)
            there = sys.modules[self.__name__]  # an `__init__` may put another module in place of its own
            if there is not self:
                return getattr(there, name)
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _Loader(importlib.abc.Loader):
    """Makes a LazyPackage that has `names`; `own` is the loader that would have run its `__init__`."""

    def __init__(self, own: importlib.abc.Loader, names: Names) -> None:
        self.own, self.names = own, names
        self._lock, self.is_open = threading.RLock(), False

    def open(self, package: ModuleType) -> None:
        """Run its `__init__`, unless it has run or is running."""
        with self._lock:
            if not self.is_open:
                self.is_open = True
                self.own.exec_module(package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The package as it is before `exec_module`."""
        return LazyPackage(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Give it its first names, in place of running `__init__`."""
        vars(module).update({key: value for key, value in self.names.items() if not isinstance(value, From)})

    def __getattr__(self, name: str) -> Any:
        """What else a loader can do, such as reading the source, as the package's own does it."""
        return getattr(self.own, name)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the packages that are to be lazy: name => the names that they have at once."""

    def __init__(self, packages: Mapping[str, Names]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification that an import of `fullname` follows; None leaves it to the other finders."""
        if fullname not in self.packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or spec.submodule_search_locations is None:
            return None
        spec.loader = _Loader(spec.loader, self.packages[fullname])
        return spec


def is_waiting(module: ModuleType) -> bool:
    """Whether it is a package whose `__init__` has not run."""
    return (
        isinstance(module, LazyPackage)
        and isinstance(module.__loader__, _Loader)
        and not module.__loader__.is_open
    )


def make_lazy(packages: Mapping[str, Names]) -> None:
    """Let every package of `packages` that is imported from now on wait with its `__init__`.

    Those that are not installed or imported already stay as they are.
    """
    sys.meta_path.insert(0, Finder(packages))
