"""Judges: networks that turn pictures and text into features; every score is a function of these arrays.

    weights     find a judge's weights and check their hash
    clip        a CLIP of transformers: pictures and text in one space
    dino        a DINOv2 of transformers
    vision      the project's own net: features, attributes, and layers for LPIPS
    inception   Inception-v3 of FID, with clean-fid's blocks and resize
    imagenet    EfficientNet-Lite0 trained on ImageNet, without any part of this project
    imagenet_net  its network
    lpips_nets  AlexNet and VGG-16 of the lpips package
    batching    resize and batches, shared by all judges
    panel       the judges of a study, with a cache of their outputs

Every judge has `extract(pictures)` => named arrays, one row per picture:

    features          (n, d) for distances between sets
    probabilities/H   (n, k) class probabilities of a head H, rows sum to 1
    layers/I          (n, c, h, w) feature maps, shallow to deep: for LPIPS and style
    weights/I         (c,) learned channel weights of LPIPS, where there are any

Pictures are RGB PIL images of one size; each judge resizes them to its own. The batch size does not change
the features.
"""

from laureate.evaluation.judges.clip import ClipJudge
from laureate.evaluation.judges.vision import VisionJudge, VisionOutput

__all__ = ["ClipJudge", "VisionJudge", "VisionOutput"]
