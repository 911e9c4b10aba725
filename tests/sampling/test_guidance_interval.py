"""Guidance at some noise levels only: which steps have it, and what a step without it computes."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.networks.backends import device_rules, placement  # noqa: E402
from laureate.networks.backends.cpu_attention import AttentionProcessor  # noqa: E402
from laureate.sampling import sampler  # noqa: E402

CONFIG = {"num_train_timesteps": 1000, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Denoiser:
    """Says how many rows it was asked for and what texts; its output depends on both."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.times: list[float] = []

    def __call__(self, x: Any, t: Any, encoder_hidden_states: Any) -> Any:
        self.rows.append(len(x))
        self.times.append(float(t))
        assert len(encoder_hidden_states) == len(x)
        return SimpleNamespace(sample=0.1 * x + encoder_hidden_states.mean(dim=(1, 2))[:, None, None, None])


def drawn(
    count: int, batch: int, interval: Sequence[float], guidance: float = 3.0, steps: int = 6
) -> tuple[Any, Denoiser]:
    """Latents of `count` pictures, and who was asked for them."""
    source = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 2, 3, 3, generator=source)
    text = torch.randn(count, 4, 5, generator=source)
    asked = Denoiser()
    parts = sampler.sample(
        asked,
        sampler.solver(CONFIG, "dpm++"),
        text,
        torch.zeros(1, 4, 5),
        noise,
        steps=steps,
        guidance=guidance,
        batch=batch,
        interval=interval,
    )
    return torch.cat(list(parts)), asked


def test_the_whole_interval_is_guidance_throughout_and_an_empty_one_is_none() -> None:
    everywhere, asked = drawn(5, 5, (0.0, 1.0))
    assert asked.rows == [10] * 6
    nowhere, asked = drawn(5, 5, (0.9991, 0.9992))
    assert asked.rows == [5] * 6
    torch.testing.assert_close(nowhere, drawn(5, 5, (0.0, 1.0), guidance=1.0)[0], rtol=0, atol=0)
    assert (everywhere - nowhere).abs().max() > 0.1


@settings(max_examples=30, deadline=None)
@given(
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    count=st.integers(1, 7),
    batch=st.integers(1, 9),
)
def test_rows_follow_the_interval_and_pictures_do_not_depend_on_the_batch(
    ends: list[float], count: int, batch: int
) -> None:
    found, asked = drawn(count, batch, ends)
    guided = [ends[0] <= t / 1000 <= ends[1] for t in asked.times]
    least = device_rules.least_rows("cpu")
    size = max(batch, least // 2)
    assert asked.rows == [2 * size if each else max(size, least) for each in guided]
    assert sum(guided[:6]) == sampler.guided_steps(CONFIG, "dpm++", 6, ends)
    torch.testing.assert_close(found, drawn(count, 4, ends)[0], rtol=1e-5, atol=1e-5)


def test_keys_and_values_of_a_text_are_computed_once_while_they_are_kept() -> None:
    class Counting(torch.nn.Linear):
        calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return super().forward(x)

    torch.manual_seed(0)
    attention: Any = torch.nn.Module()
    attention.to_q, attention.to_k, attention.to_v = (Counting(8, 8) for _ in range(3))
    attention.to_out = torch.nn.ModuleList([Counting(8, 8)])
    attention.heads, attention.scale = 2, 0.5
    attention.processor = AttentionProcessor(products=False)
    x, texts = torch.randn(3, 6, 8), [torch.randn(3, 5, 8), torch.randn(3, 5, 8)]

    def attended(text: Any) -> Any:
        return attention.processor(attention, x, text)

    with torch.no_grad():
        expected = [attended(text) for text in texts]
        attention.to_k.calls = 0
        with placement.drawing(attention):
            for _ in range(3):
                found = [attended(text) for text in texts]
                assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
            assert attention.to_k.calls == 2
            attention.processor(attention, x)  # attention to itself is never kept
            attention.processor(attention, x)
            assert attention.to_k.calls == 4
        attention.to_k.weight.add_(1)
        assert not torch.equal(attended(texts[0]), expected[0]), "nothing is kept behind the block"
