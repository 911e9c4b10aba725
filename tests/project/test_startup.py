"""Packages that a stage does not need are not imported, which does not change its output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import imported
from trained import changed, forget, outputs

pytest.importorskip("torch")

from laureate.config import params
from laureate.stages import train
from laureate.startup import UNUSED, unused


def test_training_imports_what_it_needs_and_gives_the_same_bytes(study: params.Params) -> None:
    train.run(study, rank=4)  # here, where the other tests have imported everything
    with_everything = outputs(4)
    forget()
    assert imported("train", "--rank", "4") == {"torch", "diffusers"}
    assert outputs(4) == with_everything


def test_encoding_imports_what_it_needs_and_gives_the_same_bytes(study: params.Params) -> None:
    encoded = Path("data/encoded.safetensors")
    with_everything = encoded.read_bytes()
    encoded.unlink()
    assert imported("encode") == {"torch", "diffusers", "transformers", "sympy"}
    assert encoded.read_bytes() == with_everything


@pytest.mark.parametrize("to", ["diffusers", "kohya"])
def test_an_export_needs_neither_torch_nor_networks(
    trained: Path, working_copy: Callable[[Path], Path], to: str
) -> None:
    """They would take longer than the export itself."""
    working_copy(trained)
    assert imported("export", "--rank", "2", "--to", to) == set()


def test_what_is_trained_or_compiled_decides_what_training_needs(study: params.Params) -> None:
    assert "transformers" in unused("train", study)
    assert "transformers" not in unused("train", changed(study, text_encoder=["q_proj"]))
    assert "transformers" not in unused("train", changed(study, compile="default"))
    assert "transformers" not in unused("sample", study)
    assert unused("compare", study) == []


def test_the_captioner_and_the_judges_decide_whether_torchvision_is_needed(study: params.Params) -> None:
    for verb in ("prepare", "evaluate"):
        assert "torchvision" in unused(verb, study)
        assert "scipy" not in unused(verb, study)
    blip = study.prepare.model_copy(update={"captioner": "blip"})
    assert "torchvision" not in unused("prepare", study.model_copy(update={"prepare": blip}))
    for kind in ("inception", "lpips-alex", "lpips-vgg"):
        judges = {**study.evaluate.judges, "one": params.Judge(kind=kind, source="models/x", sha256=None)}
        evaluate = study.evaluate.model_copy(update={"judges": judges})
        assert "torchvision" not in unused("evaluate", study.model_copy(update={"evaluate": evaluate}))


def test_a_package_that_is_kept_out_looks_as_if_it_were_not_installed() -> None:
    code = (
        "import importlib.util, json, sys; from laureate.startup import keep_out\n"
        "keep_out(['numpy', 'json'])\n"
        "assert importlib.util.find_spec('numpy') is None and sys.modules['json'] is json\n"
        "try: import numpy\nexcept ModuleNotFoundError: print('not found')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "not found\n", done.stderr


def test_only_installed_packages_are_named() -> None:
    """A name that is nobody's would be kept out for nothing."""
    code = f"from importlib.util import find_spec; print(*[name for name in {UNUSED} if find_spec(name)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == UNUSED
