"""Load judges: the one door through which a judge's files reach the code that runs it.

A judge is loaded by its kind, so only the packages of that kind are imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from laureate.config import params
    from laureate.evaluation.judges.clip import ClipJudge

CAPTIONING_BATCH = 32  # pictures that a captioner shows CLIP at once


# what torch and transformers say of weights that do not fit the configuration beside them
OTHER_SHAPES = ("state_dict", "ignore_mismatched_sizes")


def load(judge: params.Judge, batch: int) -> Any:
    """The judge of a section of evaluate.judges, with `extract`; imports only what its kind needs.

    Raises LaureateError where one of its files is damaged.
    """
    from safetensors import SafetensorError

    try:
        return _loaded(judge, batch)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
        systems = isinstance(error, OSError) and error.errno is not None  # rights, a full disk
        shapes = any(word in str(error) for word in OTHER_SHAPES)
        if systems or (isinstance(error, RuntimeError) and not shapes):
            raise
        why = " ".join(str(error).split())[:200]
        raise LaureateError(
            f"the judge in {judge.source} cannot be loaded, as a file of it is damaged ({why}); restore it"
        ) from None


def load_captioning_clip(folder: str) -> ClipJudge:
    """The CLIP model in `folder` as the captioners use it; raises as `load` does."""
    from laureate.config.params import Judge

    clip: ClipJudge = load(Judge(kind="clip", source=folder), CAPTIONING_BATCH)
    return clip


def _loaded(judge: params.Judge, batch: int) -> Any:
    if judge.kind == "vision":
        from laureate.evaluation.judges.vision import VisionJudge

        return VisionJudge.load(judge.source, batch)
    if judge.kind == "clip":
        from laureate.evaluation.judges.clip import ClipJudge

        return ClipJudge.load(judge.source, batch)
    if judge.kind == "dino":
        from laureate.evaluation.judges.dino import DinoJudge

        return DinoJudge.load(judge.source, batch)
    if judge.kind == "inception":
        from laureate.evaluation.judges.inception import InceptionJudge

        return InceptionJudge.load(judge.source, batch)
    if judge.kind == "imagenet":
        from laureate.evaluation.judges.imagenet import ImagenetJudge

        return ImagenetJudge.load(judge.source, batch)
    from laureate.evaluation.judges.lpips_nets import LpipsJudge

    return LpipsJudge.load(judge.source, "alex" if judge.kind == "lpips-alex" else "vgg", batch)
