"""`laureate shrink`: cut a trained adapter to a smaller rank, after training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from laureate.config.params import Params
from laureate.core.errors import LaureateError, ParameterError
from laureate.core.files import fresh_folder, sha256_file, write_json
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_folder
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config

if TYPE_CHECKING:
    from laureate.networks.lora.shrink import Budget

EXPORTS = Path("exports")


def run(params: Params, rank: int, to: int, budget: Budget = "layer", out: str | None = None) -> Path:
    """The chosen weights of rank N => a folder with an adapter of rank `to`, by default exports/rank-N-to-M.

    Its config.json is that of the larger adapter with the new rank and, under `cut`, what it was cut from.
    Raises LaureateError for an adapter that is missing, of another base or with DoRA, and ParameterError for
    a rank that is not smaller.
    """
    from laureate.networks.lora import adapter_files, shrink
    from laureate.networks.lora.adapter import TEXT, UNET, Adapter
    from laureate.sampling.choosing import choice
    from laureate.sampling.pipeline import check_adapter

    check_adapter(adapter_folder(rank), base_model.expected(params.base))
    folder, strength = choice.weights_of(params, f"rank-{rank}")
    state, adapter = adapter_files.load(folder, strength)
    if not 0 < to < adapter.rank:
        raise ParameterError(f"--to {to} must be above 0 and below the rank of the adapter, {adapter.rank}")
    suffix = "-global" if budget == "global" else ""
    target = Path(out) if out else EXPORTS / f"rank-{rank}-to-{to}{suffix}"
    if target.resolve() == folder.resolve():
        raise LaureateError(f"--out {target} is the adapter that is cut; name another folder")
    updates = shrink.updates_of(state, adapter)
    ranks = shrink.ranks_of(updates, to, budget)
    share = shrink.kept_share(updates, ranks)
    kept = {
        _target(name, UNET.prefix, TEXT.prefix, TEXT.label): value for name, value in ranks.items() if value
    }
    cut = {
        "rank": rank,
        "sha256": sha256_file(folder / ADAPTER_WEIGHTS),
        "budget": budget,
        "kept": round(share, 6),  # share of the squared Frobenius norm of all updates
    }
    with fresh_folder(target) as new:
        smaller = Adapter(to, float(to))
        adapter_files.save(new, shrink.cut(updates, ranks), smaller, list(kept), kept)
        write_json(new / ADAPTER_CONFIG, adapter_config.read(folder) | {"rank": to, "cut": cut})
    spread = f", {min(ranks.values())} to {max(ranks.values())} in a layer" if budget == "global" else ""
    print(f"{target}: rank {adapter.rank} cut to {to}{spread}; {share:.1%} of its squared norm is kept")
    return target


def _target(name: str, unet: str, text: str, label: str) -> str:
    """`unet.NAME` => `NAME`, the text encoder's with the label that `attach` gives them."""
    return name.removeprefix(unet) if name.startswith(unet) else label + name.removeprefix(text)
