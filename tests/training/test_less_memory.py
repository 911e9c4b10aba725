"""Training that needs less memory trains the same: gradients with checkpointing and with accumulation."""

from __future__ import annotations

from typing import Any

import pytest
from test_arms import trainer
from trained import changed

torch = pytest.importorskip("torch")

from laureate.commands.operation_counts import LiveBytes  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.networks.backends import placement  # noqa: E402
from laureate.networks.lora.arm import Arm  # noqa: E402

ARMS = [Arm(2, 1e-3, 7), Arm(4, 1e-3, 7), Arm(2, 1e-3, 8, "seed-8")]


def gradients(study: params.Params, **values: Any) -> tuple[Any, list[Any]]:
    """Losses and gradients of one batch under other parameters of training."""
    made, examples = trainer(changed(study, batch=4, **values), ARMS)
    with made._dropout(3):
        losses = made.backward(examples, made.objective.numbers(examples, 3))
    return losses, [gradient.clone() for gradient in made.flat.gradients]


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        ({"gradient_accumulation": 2}, {}),
        ({"gradient_accumulation": 3}, {}),  # parts of one, one and two samples
        ({"gradient_accumulation": 9}, {}),  # more parts than samples
        ({"gradient_checkpointing": True}, {}),
        ({"gradient_checkpointing": True, "dropout": 0.3}, {"dropout": 0.3}),
        ({"gradient_checkpointing": True, "kernels": "reference"}, {"kernels": "reference"}),
        ({"gradient_checkpointing": True, "gradient_accumulation": 2}, {}),
    ],
)
def test_gradients_are_the_same(study: params.Params, values: dict[str, Any], plain: dict[str, Any]) -> None:
    losses, expected = gradients(study, **plain)
    same, found = gradients(study, **values)
    torch.testing.assert_close(same, losses, rtol=1e-5, atol=1e-6)
    for one, other in zip(found, expected, strict=True):
        scale = float(other.abs().max())
        assert scale > 0
        assert float((one - other).abs().max()) <= 1e-5 * scale


def test_blocks_for_a_cpu_can_be_computed_again(study: params.Params) -> None:
    """The blocks that `placement` exchanges, not diffusers' own."""

    def found(checkpointing: bool) -> list[Any]:
        made, examples = trainer(changed(study, batch=2, gradient_checkpointing=checkpointing), ARMS)
        placement.place_unet(made.objective.unet, made.device, made.objective.dtype)
        made.backward(examples, made.objective.numbers(examples, 0))
        return [gradient.clone() for gradient in made.flat.gradients]

    for one, other in zip(found(True), found(False), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_they_hold_less(study: params.Params) -> None:
    def peak(**values: Any) -> int:
        made, examples = trainer(changed(study, batch=8, **values), ARMS)
        numbers = made.objective.numbers(examples, 0)
        made.backward(examples, numbers)
        with LiveBytes() as live:
            made.backward(examples, numbers)
        return live.peak

    plain = peak()
    assert peak(gradient_accumulation=4) < 0.5 * plain
    assert peak(gradient_checkpointing=True) < 0.7 * plain


def test_their_defaults_are_in_no_record(study: params.Params) -> None:
    """Results that were cached before these parameters existed are still theirs."""
    assert not {"gradient_accumulation", "gradient_checkpointing"} & set(study.train.model_dump())
    assert changed(study, gradient_accumulation=2).train.model_dump()["gradient_accumulation"] == 2
