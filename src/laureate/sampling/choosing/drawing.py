"""Draw and judge the pictures of candidates; latents and features are kept, so nothing is drawn twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laureate.config.params import Params
from laureate.core.files import sha256_file
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.core.stage_code import code_of_stage, key_of
from laureate.evaluation.judges.batching import JudgeOutput
from laureate.evaluation.judges.cached_judges import CachedJudges
from laureate.formats.prompts import Prompt
from laureate.networks.diffusion import base_model
from laureate.sampling import pipeline
from laureate.torch_utils import device

if TYPE_CHECKING:
    from PIL.Image import Image

NOT_DRAWN = {"prompts", "seeds", "plain", "blank", "strength", "batch"}  # of `sample`: no part of one picture


class Studio:
    """Draws prompts with adapters and asks the judges of `compare.judges`, with a cache of both."""

    def __init__(self, params: Params, base: base_model.Base, cache: Path) -> None:
        self.params, self.base = params, base
        self.drawn = self.asked = 0  # pictures that were drawn, and that were wanted
        self._panel = CachedJudges(params.evaluate, cache, params.compare.judges)

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
        self.asked += len(pairs)
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
        pictures: list[Image] = []

        def drawn() -> list[Image]:
            if not pictures:
                pictures.extend(self._pictures(key, folder, strength, pairs))
            return pictures

        judges = self.params.compare.judges
        return {name: self._panel.features_of(name, f"drawing {key}", drawn) for name in judges}

    def _pictures(
        self, key: str, folder: Path | None, strength: float, pairs: list[tuple[Prompt, int]]
    ) -> list[Image]:
        """The pictures of one adapter, decoded from latents that are kept under `key`."""
        import torch

        def latents() -> JudgeOutput:
            self.drawn += len(pairs)
            sample = self.params.sample.model_copy(update={"strength": strength})
            params = self.params.model_copy(update={"sample": sample})
            return {
                "latents": torch.cat(list(pipeline.latents(self.base, folder, pairs, params))).cpu().numpy()
            }

        kept = self._panel.remembered({"kind": "latents"}, f"drawing {key}", latents)["latents"]
        batches = torch.from_numpy(kept).to(device.pick()).split(self.params.sample.batch)
        return [picture for batch in batches for picture in pipeline.pictures_of(self.base, self._vae, batch)]

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
