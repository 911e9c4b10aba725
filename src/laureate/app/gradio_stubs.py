"""Import Gradio without its writer of stubs, which takes half the time of the import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import Any


class _WithoutStubs(PathFinder):
    """Finds `gradio.component_meta` and takes the writing of stubs out of it, once it is loaded."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "gradio.component_meta":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def loaded(module: Any) -> None:
            load(module)
            if hasattr(module, "create_or_modify_pyi"):
                module.create_or_modify_pyi = lambda *_: None

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


@contextmanager
def no_gradio_stubs() -> Iterator[None]:
    """Keep Gradio, where it is imported in the block, from comparing and writing a .pyi of every component.

    That is half the time of its import, and writes into the installed package.
    """
    sys.meta_path.insert(0, _WithoutStubs)
    try:
        yield
    finally:
        sys.meta_path.remove(_WithoutStubs)
