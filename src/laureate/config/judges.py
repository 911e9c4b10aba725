"""Parameters of evaluate: the judges, their roles in the scores, and the bootstrap."""

from typing import Annotated, Literal

from pydantic import Field

from laureate.config.section import Count, Name, Section, Seed

JudgeKind = Literal["vision", "clip", "inception", "dino", "lpips-alex", "lpips-vgg"]


class Judge(Section):
    """A model that evaluates pictures: its kind and its weights."""

    kind: JudgeKind
    source: Name  # a folder, a .safetensors file, or hub:OWNER/NAME@REVISION[/FOLDER]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # of the weights; null: not checked


class Roles(Section):
    """The judge of every group of scores; null: these scores have no value."""

    looks: Name | None = "vision"  # FID, KID, precision and recall, IS
    text: Name | None = "clip"  # CLIP and CLIP content
    cmmd: Name | None = "clip"  # CMMD
    dino: Name | None = None  # kernel distance of DINOv2 features
    lpips: Name | None = "vision"  # LPIPS, diversity and memorisation
    style: Name | None = "vision"  # kernel distance of style features
    attributes: Name | None = "vision"  # style and content recognised in a picture


KINDS: dict[str, tuple[str, ...]] = {  # role => the kinds of judge that suit it
    "looks": ("vision", "inception", "dino", "clip"),
    "text": ("clip",),
    "cmmd": ("clip", "dino", "vision"),
    "dino": ("dino", "vision"),
    "lpips": ("vision", "lpips-alex", "lpips-vgg"),
    "style": ("vision", "lpips-alex", "lpips-vgg"),
    "attributes": ("vision",),
}


class Evaluate(Section):
    """The judges, their roles, and the bootstrap of the intervals."""

    judges: dict[Name, Judge] = {
        "vision": Judge(kind="vision", source="models/embedded/vision"),
        "clip": Judge(kind="clip", source="models/embedded/clip"),
    }
    roles: Roles = Roles()
    batch: Count = 32  # pictures per call of a judge
    style: Name = "laureate"  # the class of the learnt style, for the role `attributes`
    neighbours: Count = 3  # k of the nearest neighbours in precision and recall
    bootstrap: Count = 1000  # resamples for every interval
    seed: Seed = 42
