"""One LoRA adapter: rank, alpha, variant, the network that it changes, the names of its tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Adapter:
    """One adapter: the update of a weight is `scale * (A @ B).T`."""

    rank: int
    alpha: float
    dropout: float = 0.0  # share of an update's inputs that is dropped in training
    variant: str = "lora"
    init: str = "random"  # or "pissa"

    @property
    def scale(self) -> float:
        """alpha / rank; alpha / sqrt(rank) with rsLoRA (Kalajdzievski 2023, arXiv:2312.03732)."""
        return self.alpha / (self.rank**0.5 if self.variant == "rslora" else self.rank)

    def at(self, strength: float) -> Adapter:
        """The same with its update multiplied by `strength`, as other programs weigh an adapter. DoRA's
        lengths are not weighed, as in PEFT."""
        return replace(self, alpha=self.alpha * strength)


PREFIX = "unet."
MAGNITUDE = "lora_magnitude_vector"


@dataclass(frozen=True)
class Part:
    """A network of a Stable Diffusion that can be adapted."""

    said: str
    key: str  # of the parameters, which names its layers
    prefix: str  # of its layers' names in a file
    magnitude: str = MAGNITUDE  # ends the name of DoRA's lengths in a file
    label: str = ""  # of its layers' names where those of both parts are kept together


UNET = Part("UNet", "train.targets", PREFIX)
# `text_model` was a part of its names when the formats were made: all loaders know it, and drop it where they
# need not have it. transformers reads magnitudes as they are named; PEFT, for the UNet, adds `.weight`
_TEXT = "text_encoder.text_model."
TEXT = Part("text encoder", "train.text_encoder", _TEXT, f"{MAGNITUDE}.weight", _TEXT)
