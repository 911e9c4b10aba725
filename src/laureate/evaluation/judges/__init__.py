"""Judges: pictures and text to features, on which every score is a function of arrays.

    weights    where a judge's weights are, and whether they are the ones that were meant
    clip       a CLIP of transformers: pictures and text in one space
    dino       a DINOv2 of transformers
    vision     the project's own net: looks, attributes, and layers for LPIPS
    inception  Inception-v3 as FID knows it, with clean-fid's blocks and resize
    imagenet   EfficientNet-Lite0 of an ImageNet that this project has no part in
    perceptual AlexNet and VGG-16 of the lpips package
    bench      the judges of a study, each asked once per set of pictures and remembered

Every judge answers `see(pictures)` with named arrays, one row per picture:

    features          (n, d) what distances between sets are taken over
    probabilities/H   (n, k) class probabilities of a head H, rows sum to 1
    layers/I          (n, c, h, w) feature maps, shallow to deep: for LPIPS and style
    weights/I         (c,) learned channel weights of LPIPS, where there are any

Pictures come as RGB PIL images of any one size; each judge brings them to its own. The batch size changes
memory, not features.
"""

from laureate.evaluation.judges.clip import ClipJudge
from laureate.evaluation.judges.vision import Reading, VisionJudge

__all__ = ["ClipJudge", "Reading", "VisionJudge"]
