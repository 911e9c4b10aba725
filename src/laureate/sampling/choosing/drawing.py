"""Draw and judge the pictures of candidates; latents and features are kept, so nothing is drawn twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.core.stage_code import code_of_stage, key_of
from laureate.evaluation.judges import loading, weights
from laureate.evaluation.judges.batching import versions
from laureate.formats.prompts import Prompt
from laureate.networks.diffusion import base_model
from laureate.sampling import pipeline
from laureate.torch_utils import device, safetensors_io

LATENTS = "latents"
LIMIT = 4e9  # bytes of the cache; the files that were not used for longest are removed first
NOT_DRAWN = {"prompts", "seeds", "plain", "blank", "strength", "batch"}  # of `sample`: no part of one picture
PACKAGES = {"vision": ("torch",), "imagenet": ("torch",), "clip": ("torch", "transformers")}
PACKAGES |= {"dino": ("torch", "transformers"), "inception": ("torch", "torchvision", "clean-fid")}


@dataclass
class Studio:
    """Draws prompts with adapters and asks the judges of `compare.judges`, with a cache of both."""

    params: Params
    base: base_model.Base
    cache: Path
    drawn: int = 0  # pictures that were drawn
    known: int = 0  # pictures that were in the cache
    _judges: dict[str, Any] = field(default_factory=dict)

    def features(
        self,
        adapters: Mapping[int | None, Path | None],
        strength: float,
        pairs: Sequence[tuple[Prompt, int]],
        shares: Sequence[int | None],
    ) -> dict[str, np.ndarray]:
        """Judge => features (n, d) float32 of one picture per (prompt, seed), in order.

        `adapters`: training seed => folder of its weights, or None: None for the base; `shares`: the training
        seed that draws each picture.
        """
        found: dict[str, np.ndarray] = {}
        for training, folder in adapters.items():
            rows = [row for row, seed in enumerate(shares) if seed == training]
            if not rows:
                continue
            for name, x in self._of_adapter(folder, strength, [pairs[row] for row in rows]).items():
                whole = found.setdefault(name, np.full((len(pairs), x.shape[1]), np.nan, np.float32))
                whole[rows] = x
        return found

    def _of_adapter(
        self, folder: Path | None, strength: float, pairs: list[tuple[Prompt, int]]
    ) -> dict[str, np.ndarray]:
        """Features of the pictures of one adapter."""
        key = key_of([
            self._constants,
            None if folder is None else [sha256_file(folder / ADAPTER_WEIGHTS), strength],
            [[prompt.id, prompt.text, seed] for prompt, seed in pairs],
        ])  # fmt: skip
        of_judges = {
            name: self.cache / f"{key}-{hashed}.safetensors" for name, hashed in self._record.items()
        }
        features = {name: _read(path) for name, path in of_judges.items()}
        missing = [name for name, values in features.items() if values is None]
        if missing:
            pictures = self._pictures(self.cache / f"{key}.safetensors", folder, strength, pairs)
            for name in missing:
                judged = self._judge(name).extract(pictures)["features"]
                features[name] = judged
                _write(of_judges[name], judged)
        else:
            self.known += len(pairs)
        return {name: np.asarray(values, dtype=np.float32) for name, values in features.items()}

    def _pictures(
        self, path: Path, folder: Path | None, strength: float, pairs: list[tuple[Prompt, int]]
    ) -> list[Any]:
        """The pictures of one adapter, decoded from latents that are kept in `path`."""
        import torch

        latents = _read(path)
        if latents is None:
            sample = self.params.sample.model_copy(update={"strength": strength})
            params = self.params.model_copy(update={"sample": sample})
            latents = torch.cat(list(pipeline.latents(self.base, folder, pairs, params))).cpu().numpy()
            _write(path, latents)
            self.drawn += len(pairs)
        else:
            self.known += len(pairs)
        whole = torch.from_numpy(np.asarray(latents)).to(device.pick())
        batches = whole.split(self.params.sample.batch)
        return list(pipeline.decode(self.base, self._vae, batches))

    @cached_property
    def _vae(self) -> Any:
        return pipeline.load_vae(self.base)

    @cached_property
    def _constants(self) -> dict[str, Any]:
        """What all pictures depend on, beside adapter, prompt and seed."""
        sample, where = self.params.sample, device.pick()
        return {
            "code": code_of_stage("choose"),
            "base": self.base.fingerprint,
            "machine": device.machine(),
            "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
            "precision": device.name_of(device.precision(sample.precision, where)),
            "sample": sample.model_dump(exclude=NOT_DRAWN),
            "resolution": self.params.drawn_at,
        }

    @cached_property
    def _record(self) -> dict[str, str]:
        """Judge => the start of a hash of what its features depend on."""
        found = {}
        for name in self.params.compare.judges:
            judge = self.params.evaluate.judges[name]
            hashes = weights.find(judge.source, name, judge.sha256).hashes
            found[name] = key_of([judge.kind, hashes, versions(*PACKAGES.get(judge.kind, ("torch",)))])[:16]
        return found

    def _judge(self, name: str) -> Any:
        if name not in self._judges:
            evaluate = self.params.evaluate
            self._judges[name] = loading.load(evaluate.judges[name], evaluate.batch)
        return self._judges[name]

    def trim(self) -> None:
        """Remove the files of the cache beyond LIMIT, those first that were not used for longest."""
        files = sorted(self.cache.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > LIMIT:
                file.unlink(missing_ok=True)


def _read(path: Path) -> np.ndarray | None:
    """A kept array; None where there is none or the file is damaged."""
    try:
        values = safetensors_io.load(path)["values"].numpy()
        path.touch()  # used now
    except (LaureateError, KeyError, OSError):
        return None
    return np.asarray(values)


def _write(path: Path, values: np.ndarray) -> None:
    """Keep an array."""
    import torch

    safetensors_io.save(path, {"values": torch.from_numpy(np.ascontiguousarray(values))}, {})


def portraits_of(params: Params, sets: Mapping[str, tuple[Any, Any]]) -> dict[str, np.ndarray]:
    """Judge of compare.judges => features (m, d) of the held-out portraits, from the evidence of a model.

    `sets`: `Evidence.sets`. Raises LaureateError where a judge has none.
    """
    found = {}
    for name in params.compare.judges:
        kind = params.evaluate.judges[name].kind
        key = (
            "looks" if name == params.evaluate.roles.looks else "dino" if kind == "dino" else f"panel_{kind}"
        )
        if key not in sets:
            raise LaureateError(
                f"the evidence of noise-floor has no features of the judge {name}; run `laureate evaluate "
                "--model noise-floor` again"
            )
        found[name] = np.asarray(sets[key][1])
    return found
