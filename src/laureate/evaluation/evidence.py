"""Stored features and per-image values of one model: the input of all its scores and of comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes

if TYPE_CHECKING:
    from laureate.config.params import Evaluate
    from laureate.evaluation.scores.base import Array

FEATURES = ("looks", "cmmd", "dino", "style")  # roles whose features are distances between sets


@dataclass(frozen=True)
class Evidence:
    """Of n pictures and m held-out portraits. Roles without a judge are left out."""

    model: str
    pictures: Sequence[str]  # file names, (n,)
    clusters: Sequence[str]  # prompt of each picture; pictures of one prompt are resampled together
    # role, or panel_KIND and panel_KIND_style => features of pictures (n, d) and of references (m, d)
    sets: Mapping[str, tuple[Array, Array]]
    values: Mapping[str, Array]  # score => a value per picture, (n,) or (n, k), NaN where it has none
    heads: Mapping[str, Array]  # head => class probabilities (n, k), without the head "style"
    arrays: Mapping[str, Array]  # LPIPS: to references (n, m), to training pictures (n, t), chance (m,)
    judges: Mapping[str, Any]  # the judges of it: `Panel.record`
    trainings: Sequence[int] = ()  # seed of the training that drew each picture, (n,); empty: one or none
    settings: Sequence[int] = ()  # resamples, seed and neighbours of the draws
    draws: Mapping[str, NDArray[np.float64]] = field(
        default_factory=dict
    )  # score => its value over resamples

    def only(self, rows: Sequence[int]) -> Evidence:
        """The evidence of these rows only, in this order, without draws: those were over all pictures."""
        index = list(rows)
        per_picture = {"lpips", "train"}
        return replace(
            self,
            pictures=[self.pictures[row] for row in index],
            clusters=[self.clusters[row] for row in index],
            trainings=[self.trainings[row] for row in index] if self.trainings else (),
            sets={role: (x[index], y) for role, (x, y) in self.sets.items()},
            values={key: values[index] for key, values in self.values.items()},
            heads={head: p[index] for head, p in self.heads.items()},
            arrays={k: a[index] if k in per_picture else a for k, a in self.arrays.items()},
            draws={},
        )


def save(path: str | Path, evidence: Evidence) -> None:
    """Write `path`, a safetensors file; the same evidence gives the same bytes."""
    from safetensors.numpy import save as as_bytes

    arrays: dict[str, Any] = {}
    for role, (x, y) in evidence.sets.items():
        arrays |= {f"sets/{role}/x": x, f"sets/{role}/y": y}
    for name in ("values", "heads", "arrays", "draws"):
        arrays |= {f"{name}/{key}": value for key, value in getattr(evidence, name).items()}
    about = {
        name: getattr(evidence, name)
        for name in ("model", "pictures", "clusters", "judges", "settings", "trainings")
    }  # one entry: safetensors writes several in no fixed order
    header = {"laureate": json.dumps(about, sort_keys=True)}
    write_bytes(path, as_bytes({name: np.ascontiguousarray(a) for name, a in arrays.items()}, header))


def load(path: str | Path, model: str) -> Evidence:
    """Read what `save` wrote. Raises LaureateError for a missing, damaged or older file."""
    from safetensors import SafetensorError, safe_open

    again = f"run `laureate evaluate --model {model}` again"
    if not Path(path).is_file():
        raise LaureateError(f"{path} does not exist; {again.removesuffix(' again')} first")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()["laureate"])
            parts: dict[str, Any] = {"sets": {}, "values": {}, "heads": {}, "arrays": {}, "draws": {}}
            for name in file.keys():  # noqa: SIM118  # not a mapping
                part, _, key = name.partition("/")
                parts[part][key] = file.get_tensor(name)
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise LaureateError(f"{path} is damaged or of another version; {again}") from None
    roles = sorted({key.partition("/")[0] for key in parts["sets"]})
    parts["sets"] = {role: (parts["sets"][f"{role}/x"], parts["sets"][f"{role}/y"]) for role in roles}
    return Evidence(**about, **parts)


def features_of_portraits(
    evaluate: Evaluate, judges: Sequence[str], sets: Mapping[str, tuple[Array, Array]]
) -> dict[str, Array]:
    """Judge => its features (m, d) of the held-out portraits, from the evidence `sets` of a model.

    Raises LaureateError where a judge has none.
    """
    found = {}
    for name in judges:
        kind = evaluate.judges[name].kind
        key = "looks" if name == evaluate.roles.looks else "dino" if kind == "dino" else f"panel_{kind}"
        if key not in sets:
            raise LaureateError(
                f"the evidence of noise-floor has no features of the judge {name}; run `laureate evaluate "
                "--model noise-floor` again"
            )
        found[name] = sets[key][1]
    return found
