"""The peer of `pack`: several PEFT models, each with an optimiser of its own, trained one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from laureate.config.params import of_rank
from laureate.networks.diffusion import noise_schedule

if TYPE_CHECKING:
    from laureate.config.params import Train
    from laureate.networks.lora.injection import Adapter
    from laureate.training.objective import Draw, Examples
    from laureate.training.trainer import Trainer

MODES = ("plain", "autocast")


class PeftModels:
    """A placed UNet with PEFT's layers for every rank, written as one would write it for speed."""

    def __init__(
        self,
        unets: Sequence[Any],
        process: noise_schedule.NoiseSchedule,
        adapters: Sequence[Adapter],
        settings: Train,
        scaling_factor: float,
    ) -> None:
        from diffusers.training_utils import cast_training_params
        from peft import LoraConfig

        self.unets, self.process, self.settings = list(unets), process, settings
        self.scaling_factor = scaling_factor
        self.weights: list[list[Tensor]] = []
        self.optimizers = []
        for unet, adapter in zip(unets, adapters, strict=True):
            unet.add_adapter(
                LoraConfig(r=adapter.rank, lora_alpha=adapter.alpha, target_modules=settings.targets)
            )
            cast_training_params(unet, dtype=torch.float32)
            self.weights.append([weight for weight in unet.parameters() if weight.requires_grad])
            self.optimizers.append(
                torch.optim.AdamW(
                    self.weights[-1],
                    lr=float(of_rank(settings.learning_rate, adapter.rank)),
                    weight_decay=settings.weight_decay,
                    fused=True,
                )
            )

    def copy_from(self, places: Sequence[tuple[Trainer, int]]) -> None:
        """Take over the adapters of a pack."""
        with torch.no_grad():
            for unet, (trainer, index) in zip(self.unets, places, strict=True):
                for name, layer in trainer.layers.items():
                    a, b = self._layer(unet, name)
                    a.copy_(layer.own("a", index).T)
                    b.copy_(layer.own("b", index).T)

    def step(self, examples: Examples, mode: str = "plain") -> None:
        """One update of every model."""
        for index, optimizer in enumerate(self.optimizers):
            rows = torch.randint(len(examples), (self.settings.batch,), device=examples.mean.device)
            mean = examples.mean[rows]
            t = torch.randint(self.process.steps, (len(rows),), device=mean.device)
            posterior, noise = torch.randn_like(mean), torch.randn_like(mean)
            self._loss(index, examples, rows, posterior, noise, t, mode).backward()
            torch.nn.utils.clip_grad_norm_(self.weights[index], self.settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()

    def backward(self, examples: Examples, numbers: Draw) -> None:
        """The gradients of every model for given random numbers."""
        for index in range(len(self.unets)):
            self._loss(
                index, examples, numbers.rows, numbers.posterior, numbers.noise, numbers.t, "plain"
            ).backward()

    def gradients(self, index: int, name: str) -> tuple[Tensor, Tensor]:
        """Gradients of A (rank, in) and B (out, rank) of one layer of one model."""
        a, b = self._layer(self.unets[index], name)
        assert a.grad is not None
        assert b.grad is not None
        return a.grad, b.grad

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def _loss(
        self,
        index: int,
        examples: Examples,
        rows: Tensor,
        posterior: Tensor,
        noise: Tensor,
        t: Tensor,
        mode: str,
    ) -> Tensor:
        unet = self.unets[index]
        clean = noise_schedule.draw_latents(
            examples.mean[rows], examples.logvar[rows], posterior, self.scaling_factor
        )
        noisy = noise_schedule.add_noise(self.process, clean, noise, t).to(unet.dtype)
        autocast = torch.autocast(noisy.device.type, unet.dtype) if mode == "autocast" else nullcontext()
        with autocast:
            output = unet(noisy, t, encoder_hidden_states=examples.text[rows]).sample
        return torch.nn.functional.mse_loss(
            output.float(), noise_schedule.target(self.process, clean, noise, t)
        )

    @staticmethod
    def _layer(unet: Any, name: str) -> tuple[Tensor, Tensor]:
        module = unet.get_submodule(name)
        return module.lora_A["default"].weight, module.lora_B["default"].weight
