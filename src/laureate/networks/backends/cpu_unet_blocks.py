"""Blocks of a `UNet2DConditionModel` for a CPU: diffusers' layers with fewer operations around them.

The layers keep their names and weights. Small networks are made of small operations, and what diffusers does
for every kind of network (dividing by one, asking what a processor can) is a good part of a step there.

Only blocks that are nothing but their layers are exchanged; any other keeps diffusers' code.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from laureate.networks.backends import device_rules
from laureate.networks.backends.cpu_attention import AttentionProcessor, is_plain


class GatedUnit(nn.Module):
    """GELU-gated linear unit (Shazeer 2020, arXiv:2002.05202): value * gelu(gate), where diffusers' `GEGLU`
    has value and gate side by side in one product.

    Two products give two tensors without gaps, which a CPU multiplies several numbers at a time, and no
    gradient has to be put together again.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.proj = block.proj

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) => (..., out / 2) for a `proj` of in => out."""
        if isinstance(self.proj, nn.Linear):
            half, bias = self.proj.out_features // 2, self.proj.bias
            of_value, of_gate = (None, None) if bias is None else (bias[:half], bias[half:])
            value = functional.linear(x, self.proj.weight[:half], of_value)
            gate = functional.linear(x, self.proj.weight[half:], of_gate)
        else:  # adapted
            value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class TimeEmbedding(nn.Module):
    """diffusers' `TimestepEmbedding`: two linear layers with an activation between them."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.linear_1, self.act, self.linear_2 = block.linear_1, block.act, block.linear_2
        self.one_time: set[int] = set()  # threads in which all rows are of one time: `placement.drawing`

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, width) => (n, out width)."""
        embedded = self.linear_2(self.act(self.linear_1(x[:1] if get_ident() in self.one_time else x)))
        return embedded.expand(len(x), -1)

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether it does what the block does."""
        return block.act is not None and block.post_act is None and getattr(block, "cond_proj", None) is None


class ResnetBlock(nn.Module):
    """A `ResnetBlock2D` that keeps its side: two convolutions, and what the time step adds between them."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm1, self.conv1, self.time_emb_proj = block.norm1, block.conv1, block.time_emb_proj
        self.norm2, self.conv2 = block.norm2, block.conv2
        self.nonlinearity, self.conv_shortcut = block.nonlinearity, block.conv_shortcut
        self.one_time: set[int] = set()  # see `TimeEmbedding`

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """x: (n, in, h, w), temb: (n, width) => (n, out, h, w)."""
        temb = temb[:1] if get_ident() in self.one_time else temb
        inner = self.conv1(self.nonlinearity(self.norm1(x)))
        inner = inner + self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        inner = self.conv2(self.nonlinearity(self.norm2(inner)))
        return inner + (x if self.conv_shortcut is None else self.conv_shortcut(x))

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether it does what the block does."""
        return (
            block.time_embedding_norm == "default"
            and block.time_emb_proj is not None
            and block.upsample is block.downsample is None
            and not block.skip_time_act
            and block.dropout.p == 0
            and block.output_scale_factor == 1
        )


class TransformerBlock(nn.Module):
    """A `BasicTransformerBlock` of self-attention, attention to the caption, and a feed-forward part."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm1, self.attn1 = block.norm1, block.attn1
        self.norm2, self.attn2 = block.norm2, block.attn2
        self.norm3, self.ff = block.norm3, block.ff

    def forward(
        self,
        x: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        *others: Any,
        **unused: Any,
    ) -> Tensor:
        """x: (n, positions, width), encoder_hidden_states: (n, tokens, width of the text) => as x. What else
        a `Transformer2DModel` hands over (time step, classes) is for other kinds of blocks."""
        x = self.attn1.processor(self.attn1, self.norm1(x), None, attention_mask) + x
        attended = self.attn2.processor(
            self.attn2, self.norm2(x), encoder_hidden_states, encoder_attention_mask
        )
        x = attended + x
        return self.ff(self.norm3(x)) + x

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether it does what the block does."""
        return (
            block.norm_type == "layer_norm"
            and block.attn2 is not None
            and block.pos_embed is None
            and not block.only_cross_attention
            and not hasattr(block, "fuser")
            and block._chunk_size is None
        )


NOT_PACKED: tuple[Any, tuple[Tensor, ...]] = None, ()


class PackedConv2d(nn.Conv2d):
    """A frozen 3 x 3 convolution that keeps its weight as oneDNN wants it, forwards and backwards: where
    latents are small, bringing the weight into that order is most of what `Conv2d` does."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> PackedConv2d:
        """The same convolution with the same weight and bias."""
        made = cls(conv.in_channels, conv.out_channels, 3, padding=1, device="meta")
        made.weight, made.bias = conv.weight, conv.bias
        return made.eval()

    @staticmethod
    def fits(conv: nn.Conv2d) -> bool:
        """Whether it is such a convolution, and small enough to be kept three times."""
        return (
            type(conv) is nn.Conv2d
            and conv.kernel_size == (3, 3)
            and conv.stride == conv.padding == conv.dilation == (1, 1)
            and conv.groups == 1
            and conv.padding_mode == "zeros"
            and conv.weight.numel() <= device_rules.LARGEST_PACKED
        )

    def __init__(self, *sizes: Any, **named: Any) -> None:
        super().__init__(*sizes, **named)
        # which state of the weight is packed, and how; in one, as several threads may draw with it
        self._kept: tuple[Any, tuple[Tensor, ...]] = NOT_PACKED

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) => (n, out, h, w)."""
        if not self._pays(x):
            return super().forward(x)
        state = self.weight._version, self.weight.data_ptr(), self.weight.dtype
        kept = self._kept
        if kept[0] != state:  # not yet, or it was moved or merged with an adapter since
            kept = self._kept = state, self._pack()
        return _PackedConvolution.apply(x, self.bias, *kept[1])

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weight, which cannot be copied and is made again."""
        return self.__dict__ | {"_kept": NOT_PACKED}

    def _pays(self, x: Tensor) -> bool:
        """On a CPU in bfloat16, in which the numbers are the same to the last bit, and for small latents."""
        numbers = x.numel() // self.in_channels * (self.in_channels + self.out_channels)
        return (
            x.dtype == self.weight.dtype == torch.bfloat16
            and not (self.weight.requires_grad or torch.compiler.is_compiling())
            and device_rules.packs_convolution(x.device.type, self.weight.numel(), numbers)
        )

    def _pack(self) -> tuple[Tensor, Tensor]:
        """The weight, and that of the convolution which takes the gradient back."""
        weight = self.weight.detach()
        packed = []
        for each in (weight, weight.flip(2, 3).transpose(0, 1)):
            opaque = each.contiguous().to_mkldnn()
            # what torch.utils.mkldnn calls, which cannot be imported without a warning
            packed.append(torch._C._nn.mkldnn_reorder_conv2d_weight(opaque, [1, 1], [1, 1], [1, 1], 1))
        return packed[0], packed[1]


class _PackedConvolution(torch.autograd.Function):
    """`PackedConv2d`, whose gradient is a convolution too: with the weight turned round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, weight: Tensor, turned: Tensor) -> Tensor:
        ctx.turned = turned
        return torch.mkldnn_convolution(x.contiguous(), weight, bias, (1, 1), (1, 1), (1, 1), 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        to_x = torch.mkldnn_convolution(grads[0].contiguous(), ctx.turned, None, (1, 1), (1, 1), (1, 1), 1)
        return to_x, None, None, None


def exchange_blocks(unet: nn.Module, products: bool) -> None:
    """Exchange blocks, convolutions and attention of a UNet, in place. `products`: of the processors."""
    from diffusers.models.activations import GEGLU
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import Attention
    from diffusers.models.embeddings import TimestepEmbedding
    from diffusers.models.resnet import ResnetBlock2D

    packs = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    for name, module in list(unet.named_modules()):
        if isinstance(module, nn.Conv2d) and packs and PackedConv2d.fits(module):
            unet.set_submodule(name, PackedConv2d.of(module))
        elif isinstance(module, Attention) and is_plain(module):
            module.set_processor(AttentionProcessor(products))
        elif isinstance(module, GEGLU):
            unet.set_submodule(name, GatedUnit(module))
        elif isinstance(module, TimestepEmbedding) and TimeEmbedding.fits(module):
            unet.set_submodule(name, TimeEmbedding(module))
        elif isinstance(module, ResnetBlock2D) and ResnetBlock.fits(module):
            unet.set_submodule(name, ResnetBlock(module))
        elif isinstance(module, BasicTransformerBlock) and TransformerBlock.fits(module):
            unet.set_submodule(name, TransformerBlock(module))
