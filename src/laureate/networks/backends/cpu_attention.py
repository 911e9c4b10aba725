"""Attention with few calls, for small networks on a CPU, where a call costs as much as its arithmetic.

Same numbers as diffusers' processors, to rounding. Where an attention's four layers have their updates
multiplied out (`low_rank_matmul`), queries, keys and values of one input are one step for autograd, from the
input to heads, and the gradient of the input is summed up in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from laureate.networks.lora.layers import LoraLinear
from laureate.networks.lora.low_rank_matmul import apply_update, input_gradient


def to_heads(x: Tensor, batch: int, heads: int) -> Tensor:
    """(..., heads * width), of `batch` sequences => (batch * heads, n, width) without gaps."""
    width = x.shape[-1] // heads
    return x.reshape(batch, -1, heads, width).transpose(1, 2).reshape(batch * heads, -1, width)


def from_heads(x: Tensor, parts: int, heads: int) -> Tensor:
    """(batch * heads, n, width) => (parts, batch / parts * n, heads * width) without gaps."""
    return x.unflatten(0, (-1, heads)).transpose(1, 2).reshape(parts, -1, heads * x.shape[-1])


class ProjectToHeads(torch.autograd.Function):
    """One input through several `LoraLinear`, which have their updates multiplied out, each into heads:
    (R * n, tokens, in) => per layer (R * n * heads, tokens, out / heads). anchor: see `MultipliedUpdate`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layers: Sequence[Any], heads: int, anchor: Tensor) -> tuple[Tensor, ...]:
        stacked = x.reshape(len(layers[0].adapters), -1, x.shape[-1])
        ctx.save_for_backward(stacked)
        ctx.layers, ctx.heads, ctx.shape = layers, heads, x.shape
        outputs = (apply_update(stacked, layer.base, layer.update, layer.groups) for layer in layers)
        return tuple(to_heads(y, len(x), heads) for y in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x,), to_x = ctx.saved_tensors, None
        for layer, of_heads in zip(ctx.layers, grads, strict=True):
            grad = from_heads(of_heads, len(x), ctx.heads)
            layer.update.add(x, grad)
            if ctx.needs_input_grad[0]:
                to_x = input_gradient(grad, layer.base, layer.update, to_x)
        return None if to_x is None else to_x.view(ctx.shape), None, None, None


class JoinHeads(torch.autograd.Function):
    """Heads through the `LoraLinear` that joins them: (R * n * heads, tokens, width) => (R * n, tokens,
    out)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Any, heads: int, anchor: Tensor) -> Tensor:
        stacked = from_heads(x, len(layer.adapters), heads)
        ctx.save_for_backward(stacked)
        ctx.layer, ctx.heads, ctx.batch = layer, heads, len(x) // heads
        y = apply_update(stacked, layer.base, layer.update, layer.groups)
        return y.view(ctx.batch, -1, y.shape[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x,), layer = ctx.saved_tensors, ctx.layer
        grad = grads[0].reshape(len(x), -1, grads[0].shape[-1])
        layer.update.add(x, grad)
        return (
            to_heads(input_gradient(grad, layer.base, layer.update), ctx.batch, ctx.heads),
            None,
            None,
            None,
        )


class SoftmaxAttention(torch.autograd.Function):
    """softmax(scale * q @ k.T) @ v as two products and a softmax, with the scale in the products.

    q: (m, n, width), k and v: (m, tokens, width) => (m, n, width).
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        weights = torch.softmax(_scaled(q, k.mT, scale), dim=-1)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale = scale
        return torch.bmm(weights, v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (q, k, v, weights) = grads, ctx.saved_tensors
        to_weights = torch.bmm(grad, v.mT)
        to_scores = torch.ops.aten._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        to_q, to_k = _scaled(to_scores, k, ctx.scale), _scaled(to_scores.mT, q, ctx.scale)
        return to_q, to_k, torch.bmm(weights.mT, grad), None


def _scaled(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """scale * a @ b for batches of matrices; the empty tensor is not read."""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)


class AttentionProcessor:
    """A processor of diffusers' `Attention`, for one that `is_plain` holds for."""

    def __init__(self, products: bool) -> None:
        """`products`: as two products and a softmax, not as torch's fused attention."""
        self.products = products
        # thread => a text by its identity, with its keys and values, while it draws (`placement.drawing`)
        self.kept: dict[int, dict[int, tuple[Tensor, Tensor, Tensor]]] = {}

    def __call__(
        self,
        attn: Any,
        x: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """x: (R * n, tokens, in) => (R * n, tokens, out). Keys and values are those of x where no others are
        given. Raises ValueError for a mask."""
        if attention_mask is not None:
            raise ValueError("everything is attended to here; there can be no mask")
        others = x if encoder_hidden_states is None else encoder_hidden_states
        layers, last = (attn.to_q, attn.to_k, attn.to_v), attn.to_out[0]
        heads = attn.heads if self.products else 1  # torch's own attention takes heads side by side
        if not all(isinstance(layer, LoraLinear) and layer.update for layer in (*layers, last)):
            q = to_heads(attn.to_q(x), len(x), heads)
            k, v = self._keys_and_values(attn, others, heads, keep=others is not x)
            attended = from_heads(self._attended(q, k, v, attn), len(x), heads)
            return last(attended)
        anchor = layers[0].a[0]
        if others is x:
            q, k, v = ProjectToHeads.apply(x, layers, heads, anchor)
        else:
            (q,) = ProjectToHeads.apply(x, layers[:1], heads, anchor)
            k, v = ProjectToHeads.apply(others, layers[1:], heads, anchor)
        return JoinHeads.apply(self._attended(q, k, v, attn), last, heads, anchor)

    def _keys_and_values(self, attn: Any, of: Tensor, heads: int, keep: bool) -> tuple[Tensor, Tensor]:
        """Keys and values of an input (n, tokens, in), (n * heads, tokens, width) each."""
        kept = self.kept.get(get_ident()) if keep else None
        if kept is not None and id(of) in kept:
            return kept[id(of)][1:]
        k, v = (to_heads(layer(of), len(of), heads) for layer in (attn.to_k, attn.to_v))
        if kept is not None:
            kept[id(of)] = of, k, v  # with the text, so that its identity is not given to another
        return k, v

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, attn: Any) -> Tensor:
        if self.products:
            return SoftmaxAttention.apply(q, k, v, attn.scale)
        q, k, v = (x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, scale=attn.scale).transpose(1, 2).flatten(2)


def is_plain(attn: Any) -> bool:
    """Whether an `Attention` of diffusers is nothing but its four layers and the attention itself."""
    beside = ("group_norm", "spatial_norm", "norm_cross", "norm_q", "norm_k", "added_kv_proj_dim")
    changes = ("residual_connection", "upcast_attention", "upcast_softmax", "is_causal")
    if any(getattr(attn, name, None) for name in (*beside, *changes)):
        return False
    return bool(attn.rescale_output_factor == 1 and attn.to_out[1].p == 0)
